// Enlarge a figure in a dialog (Escape or the button closes it), or save it as it stands, black on white.
(() => {
if (window.avnbFigures) return;
window.avnbFigures = true;
const save = (svg, name) => {
const text = new XMLSerializer().serializeToString(svg).replace(/var\([^,()]+,([^()]+)\)/g, "$1").replace(/currentColor/g, "#000");
const link = Object.assign(document.createElement("a"), { download: name + ".svg", href: "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text) });
link.click();
};
document.addEventListener("click", (event) => {
const button = event.target.closest(".avnb-figure [data-avnb]");
if (!button) return;
const figure = button.closest(".avnb-figure"), svg = figure.querySelector("svg");
if (button.dataset.avnb === "save") return save(svg, button.dataset.name);
const dialog = figure.querySelector("dialog"), place = figure.querySelector(".avnb-picture");
if (button.dataset.avnb === "close") return dialog.close();
const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
close.dataset.avnb = "close";
dialog.replaceChildren(close, svg);
dialog.onclose = () => place.append(svg);
dialog.showModal();
});
})();
