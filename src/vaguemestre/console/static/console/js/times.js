// Times in the reader's zone and language. Without this they stand there in UTC.
const language = document.documentElement.lang || "en";
const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const units = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30]];
const justNow = document.documentElement.dataset.justNow;
const now = relative.format(0, "second");

function near(at, now) {
  let amount = (at - Date.now()) / 1000;
  if (Math.abs(amount) < 45) return now;
  for (const [unit, size] of units) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return full.format(at);
}

// What is due is due now, however late it is.
function due(at) {
  return new Date(Math.max(at, Date.now()));
}

function wordsOf(at, form) {
  if (form === "full") return full.format(at);
  return form === "next" ? near(due(at), now) : near(at, justNow);
}

function show(time) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.valueOf())) return;
  const words = wordsOf(at, time.dataset.form);
  if (time.textContent !== words) time.textContent = words;
  time.title = exact.format(at);
}

function showAll() {
  for (const time of document.querySelectorAll("time[datetime]")) show(time);
}

export function showTimes() {
  showAll();
  // What htmx puts in, or changes within a text, comes in UTC too.
  new MutationObserver(showAll).observe(document.body, { childList: true, characterData: true, subtree: true });
  setInterval(showAll, 30_000);
}
