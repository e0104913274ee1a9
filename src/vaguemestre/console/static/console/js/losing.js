// What htmx asked for and did not get is told at the head of the page, until an answer comes again: without this
// a switch that is pressed while the server is away does nothing at all, and a page of an error is put where a
// piece of the page belongs.
const PATIENCE = 25_000; // milliseconds after which an abort is a server that does not answer, and no newer request

export function tellLosses() {
  const words = document.getElementById("lost");
  if (!words) return;
  const began = new WeakMap();
  let leaving = false;
  window.addEventListener("pagehide", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });

  const place = () => document.querySelector("main > .lost");
  const tell = (title, text) => {
    const note = place() ?? words.content.firstElementChild.cloneNode(true);
    if (title) note.querySelector("b").textContent = title;
    if (text) note.querySelector("p").textContent = text;
    if (!note.isConnected) document.querySelector("main").prepend(note); // moved, it would be read out again
  };

  document.addEventListener("htmx:before:request", (event) => began.set(event.detail.ctx, performance.now()));
  document.addEventListener("htmx:error", (event) => {
    const { ctx, error } = event.detail;
    if (leaving || !ctx || ctx.response) return;
    const waited = performance.now() - (began.get(ctx) ?? 0);
    if (error?.name === "AbortError" && waited < PATIENCE) return;
    place()?.remove();
    tell();
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.response.status < 400 || !/^\s*<!doctype/i.test(ctx.text)) {
      place()?.remove();
      return;
    }
    event.preventDefault(); // a whole page, of an error
    const page = new DOMParser().parseFromString(ctx.text, "text/html").querySelector("main");
    tell(page?.querySelector("h1")?.textContent, page?.querySelector("h1 + p")?.textContent);
  });
}
