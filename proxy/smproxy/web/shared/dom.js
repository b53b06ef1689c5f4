/* Elements. Text is only ever set as text, so that no name of a stream can become markup. */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "srcObject", "muted", "tabIndex", "htmlFor"]);

function apply(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
}

/** Make an element: `h("a", { href: "#", onclick: go }, "text", child)`. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  apply(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make an SVG element. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  apply(element, attributes);
  element.append(...children);
  return element;
}

/** Find an element of the page that is known to be there. */
export function byId(id) {
  return document.getElementById(id);
}

/** Make these the children. What is there already is not moved without need, which would cost it the focus. */
export function setChildren(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

/** Set a text, unless it is that already: what does not change is not read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Read what the server has put into the page's head. */
export function serverSetting(name) {
  return document.querySelector(`meta[name="${name}"]`)?.content ?? "";
}
