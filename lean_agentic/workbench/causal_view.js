// Draws the causal graph that causal_view.py sends, as inline SVG: zoom, a limit on strength, and the chain of causes
// and consequences of the episode that the reader picks. Text from the memory is only ever set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const RADIUS = 8;
const ZOOM_STEP = 1.3;
const MOST_ZOOM = 12;

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
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

const percent = (value) => `${Math.round(100 * value)}%`;

// ---- the graph

function strongEnough(model) {
  return model.get("graph").links.filter((link) => link.strength >= model.get("min_strength"));
}

// Ids that can be reached from one episode over [from, to] steps.
function reach(steps, start) {
  const found = new Set();
  const ahead = [start];
  while (ahead.length) {
    const here = ahead.pop();
    for (const [from, to] of steps) {
      if (from === here && to !== start && !found.has(to)) {
        found.add(to);
        ahead.push(to);
      }
    }
  }
  return found;
}

function chainOf(links, id) {
  const causes = reach(links.map((link) => [link.effect, link.cause]), id);
  const effects = reach(links.map((link) => [link.cause, link.effect]), id);
  return { causes, effects, all: new Set([id, ...causes, ...effects]) };
}

function arc(one, other) {
  const bend = Math.min(60, 12 + Math.abs(other.x - one.x) / 6);
  const [mx, my] = [(one.x + other.x) / 2, (one.y + other.y) / 2 - bend];
  // The arrow ends at the rim of the episode, on the way from the bend to its centre.
  const length = Math.hypot(other.x - mx, other.y - my) || 1;
  const [ex, ey] = [other.x - ((other.x - mx) / length) * RADIUS, other.y - ((other.y - my) / length) * RADIUS];
  return `M${one.x},${one.y}Q${mx},${my} ${ex},${ey}`;
}

function arrowHeads(graph, prefix) {
  return draw("defs", {}, ...Object.entries(graph.colours).map(([kind, colour]) =>
    draw("marker", { id: `${prefix}-${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" },
      draw("path", { d: "M0,0L8,4L0,8Z", fill: colour }))));
}

function laneMarks(graph) {
  return graph.lanes.flatMap(({ name, y }) => [
    draw("line", { x1: 0, x2: graph.width, y1: y, y2: y, class: "la-lane" }),
    draw("text", { x: 4, y: y - 32 }, name || "no session"),
  ]);
}

// ---- one view

class View {
  constructor(model, root) {
    this.model = model;
    this.prefix = `la-arrow-${Math.random().toString(36).slice(2)}`;
    this.limit = make("input", { type: "range", min: 0, max: 1, step: 0.05, "aria-label": "Minimum strength" });
    this.limitText = make("output");
    this.kinds = make("ul", { class: "la-kinds", "aria-label": "Kinds of link" });
    this.status = make("span", { role: "status", class: "la-soft" });
    this.svg = draw("svg", { class: "la-graph", role: "group", "aria-label": "Causal graph: arrow keys move between episodes, Enter picks one, + and - zoom" });
    this.details = make("div", { class: "la-details", role: "region", "aria-label": "Picked episode", "aria-live": "polite" });
    root.append(make("div", { class: "la-causal" }, this.bar(), make("div", { class: "la-body" }, this.svg, this.details)));
    this.listen();
    this.build();
  }

  bar() {
    const button = (name, text, act) => {
      const made = make("button", { type: "button", "aria-label": name, title: name }, text);
      made.addEventListener("click", act);
      return made;
    };
    return make("div", { class: "la-bar" },
      button("Zoom in", "+", () => this.zoom(ZOOM_STEP)),
      button("Zoom out", "−", () => this.zoom(1 / ZOOM_STEP)),
      button("Show all", "⤢", () => this.showAll()),
      make("label", {}, "Minimum strength", this.limit, this.limitText),
      this.kinds, this.status);
  }

  listen() {
    this.limit.addEventListener("input", () => {
      this.model.set("min_strength", Number(this.limit.value));
      this.model.save_changes();
    });
    // JupyterLab would take the arrow keys for itself.
    this.limit.addEventListener("keydown", (event) => event.stopPropagation());
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
    this.svg.addEventListener("wheel", (event) => {
      // Without a modifier the wheel scrolls the page, as everywhere.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, this.pointAt(event));
    }, { passive: false });
    this.svg.addEventListener("pointerdown", (event) => { this.drag = { x: event.clientX, y: event.clientY, box: { ...this.box } }; });
    this.svg.addEventListener("pointermove", (event) => this.pan(event));
    for (const name of ["pointerup", "pointerleave"]) this.svg.addEventListener(name, () => { this.drag = null; });
    this.model.on("change:graph", () => this.build());
    this.model.on("change:min_strength", () => this.update());
    this.model.on("change:selected", () => this.update());
  }

  build() {
    const graph = this.model.get("graph");
    this.byId = new Map(graph.episodes.map((episode) => [episode.id, episode]));
    this.links = graph.links.map((link) => ({ link, mark: this.linkMark(graph, link) }));
    this.episodes = graph.episodes.map((episode) => ({ episode, mark: this.episodeMark(episode) }));
    this.svg.replaceChildren(arrowHeads(graph, this.prefix), ...laneMarks(graph),
      ...this.links.map(({ mark }) => mark), ...this.episodes.map(({ mark }) => mark));
    const used = [...new Set(graph.links.map((link) => link.kind))];
    this.kinds.replaceChildren(...used.map((kind) => make("li", {}, make("span", { style: `color:${graph.colours[kind]}` }, "→ "), kind)));
    this.current = this.byId.has(this.model.get("selected")) ? this.model.get("selected") : graph.episodes[0]?.id;
    this.showAll();
    this.update();
  }

  linkMark(graph, link) {
    return draw("path", {
      class: "la-link", d: arc(this.byId.get(link.cause), this.byId.get(link.effect)), stroke: graph.colours[link.kind],
      "stroke-width": 0.7 + 2.6 * link.strength, "stroke-dasharray": link.given ? "" : "5 3",
      "marker-end": `url(#${this.prefix}-${link.kind})`, "data-link": `${link.cause}-${link.effect}`, "data-strength": link.strength,
    });
  }

  episodeMark(episode) {
    const mark = draw("g", { class: "la-episode", role: "button", "data-episode": episode.id, "aria-label": episode.label },
      draw("title", {}, episode.label), draw("circle", { cx: episode.x, cy: episode.y, r: RADIUS }));
    mark.addEventListener("click", () => this.pick(episode.id));
    return mark;
  }

  // Which links and episodes are bright, what the panel says.
  update() {
    const links = strongEnough(this.model);
    const shown = new Set(links);
    const picked = this.byId.has(this.model.get("selected")) ? this.model.get("selected") : 0;
    const chain = picked ? chainOf(links, picked) : null;
    for (const { link, mark } of this.links) {
      mark.style.display = shown.has(link) ? "" : "none";
      mark.classList.toggle("la-faint", Boolean(chain) && !(chain.all.has(link.cause) && chain.all.has(link.effect)));
    }
    for (const { episode, mark } of this.episodes) {
      mark.classList.toggle("la-picked", episode.id === picked);
      mark.classList.toggle("la-chain", Boolean(chain) && chain.all.has(episode.id) && episode.id !== picked);
      mark.classList.toggle("la-faint", Boolean(chain) && !chain.all.has(episode.id));
      mark.setAttribute("aria-pressed", String(episode.id === picked));
      mark.setAttribute("tabindex", episode.id === this.current ? "0" : "-1");
    }
    const limit = this.model.get("min_strength");
    this.limit.value = limit;
    this.limitText.textContent = percent(limit);
    this.status.textContent = `${links.length} of ${this.links.length} links`;
    this.svg.dataset.shownLinks = links.length;
    this.tell(picked, links, chain);
  }

  tell(picked, links, chain) {
    if (!picked) {
      this.details.replaceChildren(make("p", { class: "la-soft" }, "Pick an episode to see what led to it, what it led to, and the evidence."));
      return;
    }
    const episode = this.byId.get(picked);
    const part = (name, text) => (text ? [make("p", {}, make("span", { class: "la-soft" }, `${name}: `), text)] : []);
    this.details.replaceChildren(
      make("h4", {}, `Episode ${picked}`), ...part("when", episode.time), ...part("context", episode.context), ...part("action", episode.action),
      ...part("outcome", episode.outcome), ...part("session", episode.session), ...part("about", episode.entities.join(", ")),
      ...this.section("Causes", links.filter((link) => link.effect === picked), "cause", chain.causes.size),
      ...this.section("Consequences", links.filter((link) => link.cause === picked), "effect", chain.effects.size));
  }

  section(title, links, side, reached) {
    if (!links.length) return [make("h4", {}, title), make("p", { class: "la-soft" }, "none that strong")];
    const further = reached > links.length ? ` (${reached} along the chain)` : "";
    const rows = links.sort((a, b) => b.strength - a.strength).map((link) => {
      const go = make("button", { type: "button" }, this.byId.get(link[side]).label);
      go.addEventListener("click", () => { this.pick(link[side]); this.focusOn(link[side]); });
      const evidence = Object.entries(link.evidence).map(([name, value]) => `${name} ${value}`).join(", ");
      const said = `${link.kind}${link.given ? "" : ", inferred"}, strength ${percent(link.strength)} (${percent(link.low)} to ${percent(link.high)})`;
      return make("li", {}, go, make("p", { class: "la-soft" }, evidence ? `${said}; ${evidence}` : said));
    });
    return [make("h4", {}, title + further), make("ul", {}, ...rows)];
  }

  pick(id) {
    this.current = id;
    this.model.set("selected", this.model.get("selected") === id ? 0 : id);
    this.model.save_changes();
  }

  focusOn(id) {
    this.current = id;
    for (const { episode, mark } of this.episodes) mark.setAttribute("tabindex", episode.id === id ? "0" : "-1");
    const mark = this.episodes.find(({ episode }) => episode.id === id)?.mark;
    this.bringIntoView(id);
    mark?.focus();
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowLeft: () => this.step("effect", "cause", -1), ArrowRight: () => this.step("cause", "effect", 1),
      ArrowUp: () => this.neighbour(-1), ArrowDown: () => this.neighbour(1),
      Enter: () => this.pick(this.current), " ": () => this.pick(this.current), Escape: () => this.clear(),
      "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP), 0: () => this.showAll(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab has its own meaning for some of these
    act();
  }

  // Along the strongest link; in time order where there is none.
  step(here, there, otherwise) {
    const links = strongEnough(this.model).filter((link) => link[here] === this.current);
    if (!links.length) this.neighbour(otherwise);
    else this.focusOn(links.reduce((best, link) => (link.strength > best.strength ? link : best))[there]);
  }

  neighbour(by) {
    const at = this.episodes.findIndex(({ episode }) => episode.id === this.current) + by;
    if (at >= 0 && at < this.episodes.length) this.focusOn(this.episodes[at].episode.id);
  }

  clear() {
    this.model.set("selected", 0);
    this.model.save_changes();
  }

  // ---- what part is seen

  showAll() {
    const { width, height } = this.model.get("graph");
    this.setBox({ x: 0, y: -10, w: width, h: height + 20 });
  }

  setBox(box) {
    this.box = box;
    this.svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
    this.svg.dataset.zoom = (this.model.get("graph").width / box.w).toFixed(3);
  }

  zoom(factor, about = null) {
    const { x, y, w, h } = this.box;
    const { width } = this.model.get("graph");
    const by = Math.min(Math.max(factor, (w / width) * 0.5), (w / width) * MOST_ZOOM);
    const focus = about ?? this.byId.get(this.current) ?? { x: x + w / 2, y: y + h / 2 };
    this.setBox({ x: focus.x - (focus.x - x) / by, y: focus.y - (focus.y - y) / by, w: w / by, h: h / by });
  }

  pan(event) {
    if (!this.drag || event.buttons !== 1) return;
    const { width } = this.svg.getBoundingClientRect();
    const scale = this.drag.box.w / width;
    this.setBox({ ...this.drag.box, x: this.drag.box.x - (event.clientX - this.drag.x) * scale, y: this.drag.box.y - (event.clientY - this.drag.y) * scale });
  }

  pointAt(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return { x: at.x, y: at.y };
  }

  bringIntoView(id) {
    const episode = this.byId.get(id);
    const { x, y, w, h } = this.box;
    const inside = episode.x > x && episode.x < x + w && episode.y > y && episode.y < y + h;
    if (!inside) this.setBox({ x: episode.x - w / 2, y: episode.y - h / 2, w, h });
  }
}

function render({ model, el }) {
  el.classList.add("la-page");
  new View(model, el);
}

export default { render };
