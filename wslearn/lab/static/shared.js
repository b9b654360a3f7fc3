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
