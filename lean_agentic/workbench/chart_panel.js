// Draws the charts that chart_panel.py sends, as inline SVG. One view per chart keeps its elements between
// redraws, so that focus and cursor survive; the marks inside are replaced.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 230;
const CHARACTER = 6.3; // average width in px of a tick label's character at 11 px
const MARGIN = 0.04; // as in chart_figure.py

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  return fill(element, attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== "" && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Binary values arrive as DataViews at any offset; a Float64Array must start at a multiple of 8.
function floats(view) {
  return new Float64Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function decode(series) {
  return { ...series, x: floats(series.x), y: floats(series.y), base: series.mark === "area" ? floats(series.base) : null };
}

// ---- scales and ticks

function padded([low, high]) {
  const margin = MARGIN * (high - low) || 0.5 * Math.abs(high) || 0.5;
  return [low === 0 ? 0 : low - margin, high === 0 && low < 0 ? 0 : high + margin];
}

function makeScale({ range, log }, from, to) {
  const forward = log ? Math.log10 : (value) => value;
  let [low, high] = range.map(forward);
  const margin = MARGIN * (high - low) || 0.5;
  [low, high] = log ? [low - margin, high + margin] : padded(range);
  const scale = (value) => from + ((forward(value) - low) / (high - low)) * (to - from);
  return Object.assign(scale, { low, high });
}

function niceStep(span, count) {
  const power = 10 ** Math.floor(Math.log10(span / count));
  return power * [1, 2, 2.5, 5, 10].find((factor) => span / (factor * power) <= count);
}

// Powers of ten; over less than three of them also their 2- and 5-fold.
function logTicks(scale, count) {
  const decades = scale.high - scale.low;
  const every = Math.max(1, Math.ceil(decades / count));
  const found = [];
  for (let power = Math.floor(scale.low); power <= scale.high; power += every) {
    for (const factor of decades < 3 ? [1, 2, 5] : [1]) found.push(factor * 10 ** power);
  }
  return found.filter((value) => Math.log10(value) >= scale.low && Math.log10(value) <= scale.high);
}

// [{value, text}] of round values.
function ticks(axis, scale, count) {
  if (axis.log) return logTicks(scale, count).map((value) => ({ value, text: formatTick(axis.format, value, value) }));
  const step = niceStep(scale.high - scale.low, count);
  const found = [];
  for (let turn = Math.ceil(scale.low / step - 1e-9); turn * step <= scale.high * (1 + 1e-9); turn += 1) found.push(turn * step);
  return found.map((value) => ({ value, text: formatTick(axis.format, value, step) }));
}

// ---- marks

// A tenth of a pixel is finer than the eye; toFixed would cost more than the rest of a redraw.
const tenth = (value) => Math.round(value * 10) / 10;

function curve(xs, ys, x, y, step) {
  let path = "";
  let pen = "M";
  for (let i = 0; i < xs.length; i += 1) {
    const top = y(ys[i]);
    if (!Number.isFinite(top)) { pen = "M"; continue; }
    const left = tenth(x(xs[i]));
    path += step && pen === "L" ? `H${left}V${tenth(top)}` : `${pen}${left},${tenth(top)}`;
    pen = "L";
  }
  return path;
}

function areaPath(series, x, y) {
  const tops = series.y.map((value, i) => series.base[i] + (Number.isNaN(value) ? 0 : value));
  const back = curve(Array.from(series.x).reverse(), Array.from(series.base).reverse(), x, y, false);
  return `${curve(series.x, tops, x, y, false)}${back.replace("M", "L")}Z`;
}

function symbol(kind, x, y, r) {
  if (kind === "square") return `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}Z`;
  if (kind === "diamond") return `M${x},${y - 1.3 * r}l${1.3 * r},${1.3 * r}l${-1.3 * r},${1.3 * r}l${-1.3 * r},${-1.3 * r}Z`;
  if (kind === "triangle") return `M${x},${y - 1.2 * r}l${1.2 * r},${2.2 * r}h${-2.4 * r}Z`;
  return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
}

function barPath(series, x, y, zero) {
  let path = "";
  series.x.forEach((value, i) => {
    if (!Number.isFinite(series.y[i])) return;
    const left = x(value + series.shift - 0.47 * series.width);
    path += `M${left},${zero}V${y(series.y[i])}H${x(value + series.shift + 0.47 * series.width)}V${zero}Z`;
  });
  return path;
}

function markOf(series, x, y, frame) {
  const line = { fill: "none", stroke: series.colour, "stroke-width": 1.8, "stroke-dasharray": series.dash, "stroke-linejoin": "round" };
  const solid = { fill: series.colour };
  const known = { "data-series": series.name, "data-mark": series.mark, "data-total": series.total };
  if (series.mark === "area") return draw("path", { ...known, ...solid, "fill-opacity": 0.8, d: areaPath(series, x, y) });
  if (series.mark === "bars") return draw("path", { ...known, ...solid, d: barPath(series, x, y, frame.bottom) });
  if (series.mark !== "points") return draw("path", { ...known, ...line, d: curve(series.x, series.y, x, y, series.mark === "step") });
  const size = series.total < 30 ? 5 : 2;
  const dots = Array.from(series.x, (value, i) => symbol(series.marker, x(value), y(series.y[i]), size));
  return draw("path", { ...known, ...solid, d: dots.filter((dot) => !dot.includes("NaN") && !dot.includes("Infinity")).join("") });
}

// Names beside lone points, each at the first of six places around it where it meets no earlier name and no other point.
function pointNames(list, x, y, frame) {
  const lone = list.filter((series) => series.mark === "points" && series.x.length === 1);
  const taken = lone.map((series) => ({ x: x(series.x[0]) - 6, y: y(series.y[0]) - 6, w: 12, h: 12 }));
  const meets = (a) => taken.some((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h);
  return lone.flatMap((series) => {
    const [px, py, w] = [x(series.x[0]), y(series.y[0]), series.name.length * CHARACTER];
    const sides = [[px + 8, py - 7], [px - 8 - w, py - 7], [px + 6, py - 18], [px - 6 - w, py - 18], [px - w / 2, py - 22], [px - w / 2, py + 8]];
    const box = sides.map(([left, top]) => ({ x: left, y: top, w, h: 14 }))
      .find((b) => !meets(b) && b.x >= frame.left && b.x + w <= frame.right && b.y >= frame.top - 8 && b.y + 14 <= frame.bottom);
    if (!box) return [];
    taken.push(box);
    return [draw("text", { x: box.x, y: box.y + 11, class: "la-point-name" }, series.name)];
  });
}

// ---- axes

function yAxis(spec, y, frame) {
  const lines = frame.yTicks.flatMap(({ value, text }) => [
    draw("line", { x1: frame.left, x2: frame.right, y1: y(value), y2: y(value), class: "la-grid" }),
    draw("text", { x: frame.left - 6, y: y(value) + 4, "text-anchor": "end" }, text),
  ]);
  return [...lines, draw("text", { x: 0, y: 11, class: "la-axis-name" }, spec.y.label)];
}

function xAxis(spec, x, frame) {
  const width = frame.right - frame.left;
  const shown = spec.names.length ? spec.names.map((text, value) => ({ value, text })) : ticks(spec.x, x, Math.max(2, width / 75));
  const slot = width / Math.max(shown.length, 1);
  // Names too wide for their slot take turns on two lines.
  const stagger = spec.names.some((name) => name.length * CHARACTER > slot) ? 13 : 0;
  return [
    draw("line", { x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom, class: "la-base" }),
    ...shown.flatMap(({ value, text }, i) => [
      ...(spec.names.length ? [] : [draw("line", { x1: x(value), x2: x(value), y1: frame.bottom, y2: frame.bottom + 4, class: "la-base" })]),
      draw("text", { x: x(value), y: frame.bottom + 16 + (i % 2) * stagger, "text-anchor": "middle" }, text),
    ]),
    draw("text", { x: frame.right, y: HEIGHT - 2, "text-anchor": "end", class: "la-axis-name" }, spec.x.label),
  ];
}

function referenceLines(spec, x, y, frame) {
  return spec.references.flatMap(({ value, label, axis }) => {
    const at = axis === "x" ? x(value) : y(value);
    const ends = axis === "x" ? { x1: at, x2: at, y1: frame.top, y2: frame.bottom } : { x1: frame.left, x2: frame.right, y1: at, y2: at };
    // A name right of the middle is written to the left of its line, or it would leave the chart.
    const late = at > (frame.left + frame.right) / 2;
    const beside = { x: late ? at - 4 : at + 4, y: frame.bottom - 5, "text-anchor": late ? "end" : "start" };
    const place = axis === "x" ? beside : { x: frame.left + 4, y: at - 4 };
    return [draw("line", { ...ends, class: "la-reference" }), draw("text", { ...place, class: "la-reference-name" }, label)];
  });
}

// ---- reading values

// Value of a series at x: a line's nearest sample, a step's last one before, a point or bar only where it stands.
function valueAt(series, at, tolerance) {
  let best = -1;
  for (let i = 0; i < series.x.length; i += 1) {
    if (series.mark === "step" && series.x[i] > at && best >= 0) break;
    if (best < 0 || Math.abs(series.x[i] - at) <= Math.abs(series.x[best] - at)) best = i;
  }
  const far = (series.mark === "points" || series.mark === "bars") && Math.abs(series.x[best] - at) > tolerance;
  return far ? NaN : series.y[best];
}

function swatch(series) {
  const icon = draw("svg", { width: 16, height: 10, "aria-hidden": "true" });
  const thin = series.mark === "line" || series.mark === "step";
  icon.append(thin
    ? draw("line", { x1: 0, x2: 16, y1: 5, y2: 5, stroke: series.colour, "stroke-width": 2.5, "stroke-dasharray": series.dash })
    : draw("path", { d: symbol(series.mark === "points" ? series.marker : "square", 8, 5, 4), fill: series.colour }));
  return icon;
}

// ---- one chart

class ChartView {
  constructor() {
    this.title = make("h4", { class: "la-title" });
    this.place = make("output", { class: "la-at", "aria-hidden": "true" });
    this.legend = make("ul", { class: "la-legend" });
    // The attribute keeps JupyterLab from taking arrow keys as shortcuts of the notebook.
    this.svg = draw("svg", { role: "img", tabindex: 0, height: HEIGHT, "data-lm-suppress-shortcuts": "true" });
    this.spoken = make("p", { class: "la-spoken", "aria-live": "polite" });
    this.root = make("section", { class: "la-chart" }, make("header", {}, this.title, this.place), this.legend, this.svg, this.spoken);
    this.at = null;
    this.svg.addEventListener("pointermove", (event) => this.pointAt(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.moveTo(null));
    this.svg.addEventListener("blur", () => this.moveTo(null));
    this.svg.addEventListener("keydown", (event) => this.press(event));
  }

  update(spec) {
    this.spec = spec;
    this.series = spec.series.map(decode);
    this.stops = null;
    this.root.dataset.chart = spec.title;
    this.title.textContent = spec.title;
    this.svg.setAttribute("aria-label", `${spec.alt} Arrow keys read values.`);
    this.values = this.series.map((series) => make("b", { "data-value-of": series.name }));
    this.legend.replaceChildren(...this.series.map((series, i) =>
      make("li", { "data-series": series.name }, swatch(series), ` ${series.name} `, this.values[i])));
    this.layOut();
  }

  layOut() {
    const { spec } = this;
    const width = this.root.clientWidth;
    if (!spec || !width) return;
    const frame = { top: 24, bottom: HEIGHT - 36, right: width - 10 };
    const y = makeScale(spec.y, frame.bottom, frame.top);
    frame.yTicks = ticks(spec.y, y, 5);
    frame.left = 10 + CHARACTER * Math.max(0, ...frame.yTicks.map(({ text }) => text.length));
    const x = makeScale(spec.x, frame.left, frame.right);
    this.cursor = draw("line", { y1: frame.top, y2: frame.bottom, class: "la-cursor", visibility: "hidden" });
    this.x = x;
    this.svg.setAttribute("width", width);
    this.svg.replaceChildren(
      ...yAxis(spec, y, frame), ...this.series.map((series) => markOf(series, x, y, frame)),
      ...xAxis(spec, x, frame), ...referenceLines(spec, x, y, frame), ...pointNames(this.series, x, y, frame), this.cursor,
    );
    this.moveTo(this.at);
  }

  // Where the cursor can stand, worked out when it first moves.
  allStops() {
    this.stops ??= Float64Array.from(new Set(this.series.flatMap((series) => Array.from(series.x)))).sort();
    return this.stops;
  }

  pointAt(pixel) {
    let [best] = this.allStops();
    for (const stop of this.stops) if (Math.abs(this.x(stop) - pixel) < Math.abs(this.x(best) - pixel)) best = stop;
    this.moveTo(best);
  }

  press(event) {
    const last = this.allStops().length - 1;
    const now = this.at === null ? -1 : this.stops.findIndex((stop) => stop >= this.at);
    const stride = Math.max(1, Math.round(last / 100));
    const next = { ArrowRight: now < 0 ? 0 : now + stride, ArrowLeft: now < 0 ? last : now - stride, Home: 0, End: last }[event.key];
    if (next === undefined && event.key !== "Escape") return;
    event.preventDefault();
    this.moveTo(event.key === "Escape" ? null : this.stops[Math.min(Math.max(next, 0), last)]);
    this.spoken.textContent = this.at === null ? "" : `${this.place.textContent}: ${this.reading()}`;
  }

  // Show the values at x; with null those at the first vertical reference line, or else the last ones.
  moveTo(at) {
    const { spec, series } = this;
    this.at = at;
    const tolerance = 0.02 * (spec.x.range[1] - spec.x.range[0]);
    const line = spec.references.find(({ axis }) => axis === "x");
    const read = at === null ? line?.value : at;
    series.forEach((one, i) => {
      const value = read === undefined ? one.y[one.y.length - 1] : valueAt(one, read, tolerance);
      this.values[i].textContent = formatNumber(spec.y.format, value);
      this.values[i].dataset.value = value;
    });
    const name = at !== null && spec.names[Math.round(at)];
    this.place.textContent = at === null ? (line ? `at ${line.label}` : "") : name || `${spec.x.label} ${formatNumber(spec.x.format, at)}`;
    this.cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.x(at));
  }

  reading() {
    return this.series.map(({ name }, i) => `${name} ${this.values[i].textContent}`).join(", ");
  }
}

// ---- the panel

function render({ model, el }) {
  const grid = make("div", { class: "la-grid-of-charts" });
  const note = make("p", { class: "la-note" });
  const views = [];
  el.classList.add("la-page", "la-charts");
  el.append(grid, note);

  const redraw = () => {
    const start = performance.now();
    const { charts } = model.get("frame");
    while (views.length < charts.length) views.push(new ChartView());
    views.length = charts.length;
    if (grid.children.length !== views.length) grid.replaceChildren(...views.map((view) => view.root));
    charts.forEach((chart, i) => views[i].update(chart));
    grid.getBoundingClientRect(); // count the layout too
    el.dataset.drawMs = (performance.now() - start).toFixed(1);
    el.dataset.draws = Number(el.dataset.draws || 0) + 1;
    write();
  };
  const write = () => {
    note.textContent = model.get("note") && `${model.get("note")}, drawn in ${Math.round(el.dataset.drawMs)} ms`;
    grid.classList.toggle("la-stale", model.get("stale"));
    grid.style.setProperty("--la-columns", model.get("columns"));
  };

  model.on("change:frame", redraw);
  model.on("change:note change:stale change:columns", write);
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (grid.clientWidth === width) return;
    width = grid.clientWidth;
    views.forEach((view) => view.layOut());
  });
  observer.observe(grid);
  write();
  redraw();
  return () => {
    observer.disconnect();
    model.off("change:frame", redraw);
    model.off("change:note change:stale change:columns", write);
  };
}

export default { render };
