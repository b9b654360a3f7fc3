/* A picture and its text. png: the bytes; text: what is to be read in it. */

function render({ model, el }) {
  const image = element("img");
  el.classList.add("wslearn", "still");
  el.append(image);

  const show = () => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
    image.alt = model.get("text");
  };
  model.on("change:png", show);
  show();
  return () => {
    model.off("change:png", show);
    URL.revokeObjectURL(image.src);
  };
}

export default { render };
