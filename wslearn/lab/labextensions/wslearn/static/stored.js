/* Shows what is stored beside a widget, its HTML, as long as no kernel knows the widget: JupyterLab would say
   "model not found", or "loading" for ever. An extension of JupyterLab in the form that it loads: no build. */
{
  const WIDGET = "application/vnd.jupyter.widget-view+json";
  const PATIENCE = 1000;  // ms

  function showStored(rendermime) {
    const create = rendermime.createRenderer.bind(rendermime);
    rendermime.createRenderer = (type) => {
      const renderer = create(type);
      return type === WIDGET ? withStored(renderer, rendermime, create) : renderer;
    };
  }

  // Without any kernel JupyterLab waits for ever; it asks again when a kernel has told of its widgets.
  function withStored(renderer, rendermime, create) {
    const render = renderer.renderModel.bind(renderer);
    renderer.renderModel = async (model) => {
      const asked = render(model);
      await Promise.race([asked, new Promise((pass) => setTimeout(pass, PATIENCE))]);
      await show(model);
      await asked;
      await show(model);
    };

    async function show(model) {
      const { [WIDGET]: _, ...stored } = model.data;
      const type = rendermime.preferredMimeType(stored, model.trusted ? "any" : "ensure");
      if (!type || renderer.widgets.length || renderer.isHidden) return;
      const other = create(type);
      renderer.disposed.connect(() => other.dispose());
      await other.renderModel(model);
      renderer.node.replaceChildren(other.node);
      renderer.removeClass("jupyter-widgets");
    }
    return renderer;
  }

  const plugin = {
    id: "wslearn:stored",
    autoStart: true,
    activate: ({ docRegistry }) => {
      docRegistry.addWidgetExtension("Notebook", { createNew: ({ content }) => showStored(content.rendermime) });
    },
  };
  (window._JUPYTERLAB ??= {}).wslearn = { init() {}, get: async () => () => ({ __esModule: true, default: plugin }) };
}
