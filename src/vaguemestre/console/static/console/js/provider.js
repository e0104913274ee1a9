// The provider: what the server's answer says is filled into the form that is already there.
function choose(form, name, value) {
  const radio = form.querySelector(`[name=${name}][value="${CSS.escape(value)}"]`);
  radio.checked = true;
  radio.dispatchEvent(new Event("change", { bubbles: true }));
}

function fill(form, values) {
  const { encryption, auth, login, ...texts } = values;
  choose(form, "encryption", encryption);
  if (auth) choose(form, "auth", auth);
  for (const [name, value] of Object.entries(texts)) {
    const input = form.elements[name];
    input.value = value;
    input.closest("details")?.setAttribute("open", "");
  }
  const sender = form.elements.sender_email.value;
  if (login && form.elements.login.value === "") {
    form.elements.login.value = login === "address" ? sender : sender.slice(0, Math.max(sender.lastIndexOf("@"), 0));
  }
  form.elements.host.dispatchEvent(new Event("input", { bubbles: true }));
}

function hint(note) {
  const login = document.getElementById("id_login_helptext");
  if (note?.dataset.loginHint) login.textContent = note.dataset.loginHint;
  document.getElementById("provider-password").textContent = note?.dataset.passwordHint ?? "";
}

export function enhanceProvider() {
  const told = document.getElementById("provider-told");
  if (!told) return;
  const form = told.closest("form");
  for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;
  new MutationObserver(() => {
    const filled = told.querySelector("[data-fill]");
    if (!filled) return;
    const values = JSON.parse(filled.dataset.fill);
    filled.remove();
    fill(form, values);
    hint(told.querySelector("[data-login-hint]"));
    document.getElementById("provider-proposal").replaceChildren();
  }).observe(told, { childList: true, subtree: true });
}
