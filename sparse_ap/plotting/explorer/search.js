// Names on the page, searched as they are typed.

const MOST_FOUND = 30, MOST_LOOKED_AT = 2000;

class Search {
  constructor(app) {
    this.app = app;
    this.input = document.getElementById("query");
    this.list = document.getElementById("found");
    this.input.addEventListener("input", () => this.show());
    this.input.addEventListener("focus", () => this.input.value && this.show());
    this.input.addEventListener("keydown", event => this.pressed(event));
    document.addEventListener("pointerdown", event => { if (!event.target.closest(".search")) this.close(); });
  }
  // All names in small letters, and where each begins.
  get index() {
    if (this.built) return this.built;
    const { tree } = this.app;
    const lower = (tree.texts || Array.from(tree.point, String)).map(text => text.toLowerCase());
    const at = new Uint32Array(lower.length + 1);
    lower.forEach((text, i) => { at[i + 1] = at[i] + text.length + 1; });
    return this.built = { text: `\0${lower.join("\0")}\0`, at };
  }
  find(query) {
    const { text, at } = this.index, found = new Set();
    const look = (wanted, skip) => {
      for (let i = text.indexOf(wanted); i >= 0 && found.size < MOST_LOOKED_AT; i = text.indexOf(wanted, i + 1)) {
        let [low, high] = [0, at.length - 1];
        while (high - low > 1) { const middle = (low + high) >> 1; if (at[middle] <= i + skip - 1) low = middle; else high = middle; }
        found.add(low);
        i = at[low + 1] - 1;
      }
    };
    look(`\0${query}\0`, 1);
    const exact = [...found];
    look(`\0${query}`, 1);
    look(query, 0);
    const { heads } = this.app.tree;
    // Exemplars of coarse levels have the lowest nodes.
    const rank = place => heads[place] < 0 ? Infinity : heads[place];
    const others = [...found].slice(exact.length).sort((a, b) => rank(a) === rank(b) ? 0 : rank(a) - rank(b));
    return [...exact, ...others];
  }
  show() {
    const query = this.input.value.replaceAll("\0", "").trim().toLowerCase();
    if (!query) return this.close();
    const { app } = this, { tree } = app, found = this.find(query);
    this.list.replaceChildren(...found.slice(0, MOST_FOUND).map((place, i) => {
      const node = tree.heads[place];
      const told = node > 0 ? `exemplar of ${counted(tree.size[node], "point")}, level ${tree.level(node)}` : `in the cluster of ${tree.title(tree.home[place])}`;
      return h("li", { role: "option", id: `found${i}`, "aria-selected": "false" },
        h("a", { href: app.link(node > 0 ? node : tree.home[place], place), tabindex: "-1", onclick: () => this.close() },
          picture(app, place), h("span", { class: "name" }, tree.name(place)), h("small", {}, told)));
    }), h("li", { class: "note", role: "presentation" }, this.note(found.length)));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark(found.length ? 0 : -1);
  }
  note(n) {
    const { tree } = this.app;
    const among = tree.nHeld === tree.head.points ? "all names" : `${count(tree.nHeld)} names on this page, of ${count(tree.head.points)}`;
    const number = n >= MOST_LOOKED_AT ? `${count(n)} or more` : n ? count(n) : "Nothing";
    return `${number} found among ${among}${n > MOST_FOUND ? `; the first ${MOST_FOUND} are shown` : ""}.`;
  }
  mark(i) {
    const options = [...this.list.querySelectorAll("[role=option]")];
    this.at = Math.max(-1, Math.min(options.length - 1, i));
    options.forEach((option, k) => option.setAttribute("aria-selected", String(k === this.at)));
    if (this.at >= 0) {
      this.input.setAttribute("aria-activedescendant", options[this.at].id);
      options[this.at].scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }
  pressed(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.mark(this.at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter") {
      const chosen = this.list.querySelector("[aria-selected=true] a");
      if (chosen && !this.list.hidden) { chosen.click(); this.input.blur(); this.app.focusFirst(); }
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.list.hidden) this.input.blur(); else this.close();
    }
  }
  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
