// Times in the reader's zone and language. Without this they stand there in UTC.
const language = document.documentElement.lang || "en";
const full = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
const dayAndClock = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
const units = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30]];
const FAR = 30 * 86_400; // seconds
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

// As an adverb: "today at 14:20 (in 3 min)", "Wednesday, 25 November 2026 at 14:20 (in 1 day)".
function spoken(at) {
  const days = Math.round((startOfDay(at) - startOfDay(new Date())) / 86_400_000);
  const parts = dayAndClock.formatToParts(at);
  const hour = parts.findIndex((part) => part.type === "hour");
  const written = (some) => some.map((part) => part.value).join("");
  const day = Math.abs(days) > 1 ? written(parts.slice(0, hour - 1)) : relative.format(days, "day");
  const words = `${day}${parts[hour - 1].value}${written(parts.slice(hour))}`;
  const seconds = Math.round((at - Date.now()) / 1000);
  if (Math.abs(seconds) > FAR) return words;
  return `${words} (${Math.abs(seconds) < 60 ? relative.format(seconds, "second") : near(at, now)})`;
}

function startOfDay(at) {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate());
}

function wordsOf(at, form) {
  if (form === "spoken") return spoken(at);
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
