// One native form control in a label. The browser gives it keyboard, focus and role; we add the written value.

function slider(model) {
  const input = document.createElement("input");
  const shown = document.createElement("output");
  input.type = "range";
  for (const name of ["min", "max", "step"]) input[name] = model.get(name);
  const write = (value) => {
    const text = formatNumber(model.get("format"), value);
    input.setAttribute("aria-valuenow", value);
    input.setAttribute("aria-valuetext", text);
    shown.textContent = text;
  };
  const show = () => {
    input.value = model.get("value");
    write(model.get("value"));
  };
  const page = (event) => {
    const steps = { PageUp: 10, PageDown: -10 }[event.key];
    if (!steps) return;
    event.preventDefault();
    input.value = Number(input.value) + steps * model.get("step");
    input.dispatchEvent(new Event("input"));
  };
  input.addEventListener("input", () => write(Number(input.value)));
  input.addEventListener("keydown", page);
  // The output repeats aria-valuetext, so it is hidden from assistive technology and from the label's name.
  shown.setAttribute("aria-hidden", "true");
  return { input, shown, show, read: () => Number(input.value) };
}

function toggle(model) {
  const input = document.createElement("input");
  input.type = "checkbox";
  input.setAttribute("role", "switch");
  return { input, show: () => { input.checked = model.get("value"); }, read: () => input.checked };
}

function choice(model) {
  const input = document.createElement("select");
  input.replaceChildren(...model.get("options").map((name) => new Option(name, name)));
  return { input, show: () => { input.value = model.get("value"); }, read: () => input.value };
}

const CONTROLS = { slider, toggle, choice };

function render({ model, el }) {
  const kind = model.get("kind");
  const { input, shown, show, read } = CONTROLS[kind](model);
  const label = document.createElement("label");
  const name = document.createElement("span");
  name.className = "la-name";
  name.textContent = model.get("label");
  input.setAttribute("aria-label", model.get("label"));
  label.append(name, input, ...(shown ? [shown] : []));
  el.classList.add("la-page", "la-control", `la-${kind}`);
  // JupyterLab takes arrow keys as shortcuts of the notebook unless the focused element itself says otherwise.
  input.dataset.lmSuppressShortcuts = "true";
  el.append(label);
  // A drag fires many events. save_changes sends one and holds the latest back while the kernel is busy.
  input.addEventListener("input", () => {
    model.set("value", read());
    model.save_changes();
  });
  model.on("change:value", () => { if (document.activeElement !== input) show(); });
  show();
}

export default { render };
