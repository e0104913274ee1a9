// The address follows what was searched for, so that whoever comes back from a message finds the list again.
export function keepSearch() {
  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    if (ctx.target?.id === "results") history.replaceState(history.state, "", ctx.request.action);
  });
}
