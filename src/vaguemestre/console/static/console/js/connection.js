// The connection's form: the port follows the encryption, a moved password is asked for, and the verification
// is read line by line as it happens.
function followPort(form) {
  const usual = Object.fromEntries(form.dataset.usualPorts.trim().split(" ").map((pair) => pair.split(":")));
  const chosen = () => form.elements.encryption.value;
  const port = form.elements.port;
  let before = chosen();
  const suggest = () => { port.placeholder = usual[chosen()] ?? ""; };
  suggest();
  form.addEventListener("change", (event) => {
    if (event.target.name !== "encryption") return;
    if (port.value === "" || port.value === usual[before]) port.value = usual[chosen()];
    before = chosen();
    suggest();
  });
}

function askForMovedPassword(form) {
  const hint = document.getElementById("password-moved");
  if (!hint) return;
  const bound = ["host", "port", "encryption", "login", "pinned_certificate"];
  const values = () => bound.map((name) => form.elements[name].value).join("\n");
  const saved = values();
  const look = () => { hint.hidden = values() === saved || form.elements.password.value !== ""; };
  form.addEventListener("input", look);
  form.addEventListener("change", look);
}

function clearErrors(form) {
  for (const error of form.querySelectorAll(".error[id]")) error.hidden = true;
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function showErrors(form, errors) {
  for (const { field, message } of errors) {
    const place = document.getElementById(`id_${field}_error`);
    if (!place) continue;
    place.querySelector("span").textContent = message;
    place.hidden = false;
    place.closest("details")?.setAttribute("open", "");
    const input = document.getElementById(`id_${field}`) ?? place.closest(".field").querySelector("input");
    input.setAttribute("aria-invalid", "true");
    if (!input.getAttribute("aria-describedby")?.includes(place.id)) {
      input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby") ?? ""} ${place.id}`.trim());
    }
  }
  form.querySelector("[aria-invalid]")?.focus();
}

function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

function copyOf(id) {
  return document.getElementById(id).content.cloneNode(true);
}

async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield* lines.filter(Boolean);
  }
}

async function tell(response, result) {
  const ladder = document.createElement("ol");
  ladder.className = "ladder live";
  ladder.append(copyOf("verification-pending"));
  result.replaceChildren(ladder);
  let ended = false;
  for await (const line of linesOf(response)) {
    const event = JSON.parse(line);
    if (event.step) ladder.insertBefore(fragment(event.step), ladder.lastElementChild);
    if ("outcome" in event) {
      ended = true;
      ladder.lastElementChild.remove();
      result.append(fragment(event.outcome));
    }
  }
  if (!ended) throw new Error("the stream ended early");
}

async function verify(form, button) {
  const result = document.getElementById("verification-result");
  button.setAttribute("aria-disabled", "true");
  clearErrors(form);
  document.getElementById("verification").scrollIntoView({ block: "nearest" });
  const waiting = document.createElement("ol");
  waiting.className = "ladder";
  waiting.append(copyOf("verification-pending"));
  result.replaceChildren(waiting);
  try {
    const response = await fetch(button.dataset.url, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/x-ndjson" },
      redirect: "error",
    });
    if (response.status === 422) {
      result.replaceChildren(copyOf("verification-faulty"));
      showErrors(form, (await response.json()).errors);
    } else if (response.status === 403) {
      result.replaceChildren(copyOf("verification-signed-out"));
    } else if (response.ok) {
      await tell(response, result);
    } else {
      throw new Error(`status ${response.status}`);
    }
  } catch {
    result.querySelector(".pending")?.remove();
    result.append(copyOf("verification-lost"));
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

export function enhanceConnection() {
  const form = document.getElementById("connection");
  if (!form) return;
  followPort(form);
  askForMovedPassword(form);
  const button = document.getElementById("verify");
  button.addEventListener("click", (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") !== "true") verify(form, button);
  });
}
