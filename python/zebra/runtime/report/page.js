const LANES = ["layers", ...DATA.engines];
const LEFT = 64, TOP = 8, LANE = 40, BAR = 30;
const canvas = document.getElementById("timeline");
const view = { start: 0, end: Math.max(DATA.cycles, 1) };
let chosen = -1;

function short(value, unit) {
  for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${prefix}${unit}`;
  return `${Number(value.toPrecision(3))} ${unit}`.trim();
}

function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function time(cycles) {
  const seconds = cycles / DATA.clock / 1e6;
  for (const [size, unit] of [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]])
    if (seconds >= size) return `${Number((seconds / size).toPrecision(4))} ${unit}`;
  return `${Number((seconds * 1e9).toPrecision(4))} ns`;
}

// The chain of a chain's layer; any other layer itself.
function chainOf(index) {
  return DATA.layers[index].chain < 0 ? index : DATA.layers[index].chain;
}

function stallText(layer) {
  return layer.stalls.map(([name, share]) => `${name} ${percent(share)}`).join(", ");
}

// Neighbouring layers differ in hue, the same layer has one hue in every lane.
function colour(layer) {
  if (layer < 0) return "#999";
  const marked = chosen >= 0 && (layer === chosen || chainOf(layer) === chosen);
  return `hsl(${(layer * 137.5) % 360} 50% ${marked ? 35 : 58}%)`;
}

// --- timeline

function width() {
  return canvas.clientWidth - LEFT;
}

function right(cycle) {
  return LEFT + (cycle - view.start) / (view.end - view.start) * width();
}

function cycleAt(x) {
  return view.start + (x - LEFT) / width() * (view.end - view.start);
}

// Slices of a lane ascend: the first that ends behind `cycle`, by halving.
function firstAfter(slices, cycle) {
  let low = 0, high = slices.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (slices[middle][0] + slices[middle][1] <= cycle) low = middle + 1;
    else high = middle;
  }
  return low;
}

const lanes = [
  DATA.layers.map((layer, i) => [layer.start, layer.end - layer.start, i, -1, 1])
    .filter((slice) => slice[1] > 0 && DATA.layers[slice[2]].chain < 0),
  ...DATA.slices,
];

function draw() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  lanes.forEach((slices, lane) => drawLane(pen, slices, lane));
  drawScale(pen);
}

function drawLane(pen, slices, lane) {
  const y = TOP + lane * LANE;
  pen.fillStyle = "#f0f3f5";
  pen.fillRect(LEFT, y, width(), BAR);
  pen.fillStyle = "#1d2731";
  pen.textAlign = "right";
  pen.fillText(LANES[lane], LEFT - 8, y + BAR / 2);
  let covered = LEFT;
  for (let i = firstAfter(slices, view.start); i < slices.length; i++) {
    const [start, took, layer] = slices[i];
    if (start > view.end) break;
    const x = Math.max(right(start), LEFT);
    const end = Math.min(right(start + took), LEFT + width());
    // What ends within a pixel that is drawn already cannot be seen.
    if (end < covered) continue;
    pen.fillStyle = colour(layer);
    const wide = Math.max(end - x - (end - x > 3 ? 0.5 : 0), 0.4);
    pen.fillRect(x, y, wide, BAR);
    covered = Math.max(covered, x + 0.25);
    if (lane === 0) label(pen, DATA.layers[layer].name, x, y, wide);
  }
}

function label(pen, text, x, y, wide) {
  if (pen.measureText(text).width + 6 > wide) return;
  pen.fillStyle = "#fff";
  pen.textAlign = "center";
  pen.fillText(text, x + wide / 2, y + BAR / 2);
}

function drawScale(pen) {
  const y = TOP + lanes.length * LANE + 2;
  const rough = (view.end - view.start) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].find((k) => k * power >= rough) * power, 1);
  pen.textAlign = "center";
  for (let at = Math.ceil(view.start / step) * step; at <= view.end; at += step) {
    const x = right(at);
    pen.fillStyle = "#0001";
    pen.fillRect(x, TOP, 1, y - TOP);
    pen.fillStyle = "#66737f";
    pen.fillText(at ? short(at, "") : "0 cycles", Math.min(Math.max(x, LEFT + 26), LEFT + width() - 26), y + 10);
    pen.fillText(time(at), Math.min(Math.max(x, LEFT + 26), LEFT + width() - 26), y + 26);
  }
}

function show(start, end) {
  const span = Math.min(Math.max(end - start, 20), Math.max(DATA.cycles, 1));
  view.start = Math.min(Math.max(start, 0), DATA.cycles - span);
  view.end = view.start + span;
  draw();
}

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const factor = Math.exp(event.deltaY / 400), at = cycleAt(Math.max(event.offsetX, LEFT));
  show(at - (at - view.start) * factor, at + (view.end - at) * factor);
}, { passive: false });

let grabbed = null;
canvas.addEventListener("pointerdown", (event) => {
  grabbed = { x: event.offsetX, start: view.start, end: view.end };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointerup", () => { grabbed = null; });
canvas.addEventListener("dblclick", () => show(0, DATA.cycles));
canvas.addEventListener("pointerleave", hideTip);
canvas.addEventListener("pointermove", (event) => {
  if (grabbed) {
    const moved = (event.offsetX - grabbed.x) / width() * (grabbed.end - grabbed.start);
    show(grabbed.start - moved, grabbed.end - moved);
  }
  const text = textAt(event.offsetX, event.offsetY);
  if (text) showTip(event, text);
  else hideTip();
});
window.addEventListener("resize", draw);

function textAt(x, y) {
  const lane = Math.floor((y - TOP) / LANE);
  if (x < LEFT || lane < 0 || lane >= lanes.length) return "";
  // A slice is drawn at least this wide, so it can be met there.
  const cycle = cycleAt(x), pixel = (view.end - view.start) / width();
  const slice = lanes[lane][firstAfter(lanes[lane], cycle - pixel / 2)];
  if (!slice || slice[0] > cycle + pixel / 2) return "";
  const [start, took, layer, first, count] = slice;
  const what = DATA.layers[layer];
  const head = what ? `${what.name} (${what.origin})` : "no layer";
  const when = `${start.toLocaleString("en")} + ${took.toLocaleString("en")} cycles (${time(took)})`;
  if (lane === 0) {
    return `${head}\n${when}, ${percent(what.share)} of the time\n` +
      `${percent(what.utilization)} of the array; limit: ${what.limit}`;
  }
  const which = count > 1 ? `${count} instructions from ${first} on` : `instruction ${first}`;
  return `${LANES[lane]}: ${head}\n${when}\n${which}`;
}

// --- layer table

const COLUMNS = [
  ["layer", (l) => l.name, null],
  ["time", (l) => l.cycles, (l) => time(l.cycles)],
  ["of all", (l) => l.share, (l) => percent(l.share)],
  ["utilization", (l) => l.utilization, (l) => (l.macs ? percent(l.utilization) : "")],
  ["roofline", (l) => l.bound, (l) => `${time(l.bound)} (${l.boundBy})`],
  ["limit", (l) => l.limit, null],
  ["array", (l) => l.busy[0], (l) => busy(l, 0)],
  ["VEC", (l) => l.busy[1], (l) => busy(l, 1)],
  ["MACs", (l) => l.macs, (l) => (l.macs ? short(l.macs, "") : "")],
  ["DRAM", (l) => l.moved, (l) => short(l.moved, "B")],
  ["at least", (l) => l.least, (l) => short(l.least, "B")],
  ["padding", (l) => l.padding, (l) => (l.padding ? percent(l.padding) : "")],
  ["idle rows", (l) => l.rows, (l) => (l.rows ? percent(l.rows) : "")],
];
const LEFT_ALIGNED = new Set(["layer", "limit"]);
let sorted = { column: -1, down: false };

// Busy cycles of an engine in percent of the time of the layer, or of its chain.
function busy(layer, engine) {
  const whole = layer.chain < 0 ? layer : DATA.layers[layer.chain];
  return layer.busy[engine] && whole.window ? percent(layer.busy[engine] / whole.window) : "";
}

function cell(row, text, aligned) {
  const field = row.insertCell();
  field.textContent = text;
  if (aligned) field.className = "left";
  return field;
}

function fillTable() {
  const order = DATA.layers.map((_, i) => i);
  if (sorted.column >= 0) {
    const key = COLUMNS[sorted.column][1], sign = sorted.down ? -1 : 1;
    const compare = (a, b) => {
      const x = key(DATA.layers[a]), y = key(DATA.layers[b]);
      return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    };
    // A chain's layers stay behind it, sorted among themselves.
    order.sort((a, b) => {
      const [p, q] = [chainOf(a), chainOf(b)];
      if (p !== q) return compare(p, q) || p - q;
      return (a !== p) - (b !== q) || compare(a, b);
    });
  }
  const body = document.querySelector("#layers tbody");
  body.replaceChildren();
  for (const index of order) addRow(body, index);
}

function addRow(body, index) {
  const layer = DATA.layers[index], row = body.insertRow();
  row.classList.toggle("chosen", index === chosen);
  row.classList.toggle("part", layer.chain >= 0);
  for (const [name, , text] of COLUMNS) {
    const field = cell(row, text ? text(layer) : "", LEFT_ALIGNED.has(name));
    field.classList.add(name.replace(" ", "-"));
    if (name === "layer") {
      field.textContent = layer.name;
      const origin = document.createElement("small");
      origin.textContent = layer.origin;
      field.append(origin);
    } else if (name === "limit") {
      const dot = document.createElement("i");
      dot.style.background = layer.colour;
      const stalls = document.createElement("small");
      stalls.textContent = stallText(layer);
      field.append(dot, layer.limit, stalls);
    }
  }
  row.dataset.tip = `${layer.region}: ${layer.name}\n${layer.origin}\n${stallText(layer)}`;
  row.addEventListener("click", () => choose(index));
}

function choose(index) {
  chosen = index;
  // All of a chain's layers run at once: the whole chain is shown.
  const layer = DATA.layers[index], margin = Math.max((layer.end - layer.start) / 5, 50);
  show(layer.start - margin, layer.end + margin);
  fillTable();
  canvas.scrollIntoView({ behavior: "smooth", block: "center" });
}

function fillHead() {
  const row = document.querySelector("#layers thead").insertRow();
  COLUMNS.forEach(([name], column) => {
    const head = document.createElement("th");
    head.textContent = name;
    if (LEFT_ALIGNED.has(name)) head.className = "left";
    head.addEventListener("click", () => {
      sorted = { column, down: sorted.column === column ? !sorted.down : !LEFT_ALIGNED.has(name) };
      fillTable();
    });
    row.append(head);
  });
}

if (DATA.gap) {
  document.getElementById("gap").textContent =
    `Instructions of one layer less than ${DATA.gap} cycles apart are drawn as one.`;
}
fillHead();
fillTable();
draw();
