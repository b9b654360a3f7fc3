/* What every module uses; it stands in front of each, because a view is loaded without imports. */

const element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

// Gives the keyboard back to the notebook.
function leave(node) {
  const cell = node.closest(".jp-Cell");
  node.blur();
  cell?.focus();
}

const shape = (tag, attributes = {}, text = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
};

// 1, 2 or 5 times a power of ten, so that about `count` ticks fit.
function tickStep(range, count) {
  const rough = range / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((step) => step * power >= rough);
}

const ticks = (from, to, count) => {
  const step = tickStep(to - from, count);
  const first = Math.ceil(from / step - 1e-9);
  return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
};

// JupyterLab takes single letters for commands of its own; here they mean nothing.
function keepLetters(event) {
  if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}
