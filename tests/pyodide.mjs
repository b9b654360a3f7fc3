// Runs a Python program in Pyodide: node pyodide.mjs <folder of the npm package> <program> <folder to import from>...
const [folder, program, ...places] = process.argv.slice(2);
const { loadPyodide } = await import(`${folder}/pyodide.mjs`);
const python = await loadPyodide();
for (const [number, place] of places.entries()) {
  python.FS.mkdirTree(`/place${number}`);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: place }, `/place${number}`);
  python.runPython(`import sys; sys.path.append("/place${number}")`);
}
await python.runPythonAsync(program);
