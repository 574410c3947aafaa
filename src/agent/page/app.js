// The page works without this file; with it, it renews itself in place, takes keys and has a theme.
"use strict";
(() => {
  const root = document.documentElement;
  const query = new URLSearchParams(location.search);
  const store = {
    read(key) { try { return localStorage.getItem(key); } catch { return null; } },
    write(key, value) { try { localStorage.setItem(key, value); } catch { /* a private window forgets */ } },
  };

  // Before the first paint, so that the other theme never flashes.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const wish = query.get("theme") || store.read("theme");
  if (wish === "light" || wish === "dark") root.dataset.theme = wish;
  const themeNow = () => root.dataset.theme || (dark.matches ? "dark" : "light");

  /** Makes an element: name, attributes, children. */
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // ---- renewing: the new document is compared with the old one and only what differs is replaced

  const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") || node.id || "" : "");
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
  // What the reader changed stays as the reader left it.
  const kept = (element, name) =>
    (name === "open" && element.nodeName === "DETAILS") || name === "tabindex" && /^(TR|LI)$/.test(element.nodeName) ||
    name === "hidden" || name === "aria-expanded";
  // A button that this file put behind its source; no new document has it.
  const ours = (node) => node?.nodeType === 1 && node.classList.contains("copy");
  const after = (node) => (ours(node.nextSibling) ? node.nextSibling.nextSibling : node.nextSibling);

  function renew(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !kept(old, name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value && !kept(old, name)) old.setAttribute(name, value);
    }
    renewChildren(old, fresh);
  }

  function renewChildren(old, fresh) {
    const byKey = new Map();
    for (const child of old.children) {
      const key = keyOf(child);
      if (key) byKey.set(child.nodeName + key, child);
    }
    let at = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const key = keyOf(wanted);
      const held = key ? byKey.get(wanted.nodeName + key) : null;
      // Keyed rows that left are taken out first, so that those that stay need not move.
      while (at && keyOf(at) && at !== held && !freshHas(fresh, at)) at = drop(at);
      if (held) {
        if (held === at) at = after(at); else old.insertBefore(held, at);
        renew(held, wanted);
      } else if (at && !key && alike(at, wanted)) {
        renew(at, wanted);
        at = after(at);
      } else {
        old.insertBefore(document.importNode(wanted, true), at);
        if (at && !keyOf(at)) at = drop(at);
      }
    }
    while (at) at = drop(at);
  }

  const keysOf = new WeakMap();
  function freshHas(fresh, child) {
    if (!keysOf.has(fresh)) keysOf.set(fresh, new Set([...fresh.children].map((c) => c.nodeName + keyOf(c))));
    return keysOf.get(fresh).has(child.nodeName + keyOf(child));
  }
  function drop(node) {
    const next = after(node);
    if (ours(node.nextSibling)) node.nextSibling.remove();
    node.remove();
    return next;
  }

  const atBottom = () => innerHeight + scrollY >= root.scrollHeight - 48;
  const toBottom = () => scrollTo(0, root.scrollHeight);
  const lastSeq = () => Number(one("#log > li:last-child")?.dataset.key || 0);

  let paused = false, busy = false, live, pauseButton, unread, seenSeq = 0;

  function state(word, tone, title = "") {
    if (live.textContent !== word) live.textContent = word;
    live.className = "live " + tone;
    live.title = title;
  }

  /** The reader is in the middle of something that a new text would disturb. */
  function occupied() {
    const active = document.activeElement;
    if (active && active.matches("input") && active.value !== active.defaultValue) return true;
    const selection = getSelection();
    return Boolean(selection && !selection.isCollapsed && selection.toString());
  }

  async function load(url) {
    const reply = await fetch(url, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!reply.ok) throw Object.assign(new Error("status " + reply.status), { status: reply.status });
    return new DOMParser().parseFromString(await reply.text(), "text/html");
  }

  function show(fresh) {
    const stick = document.body.dataset.page === "logs" && atBottom();
    for (const id of ["rail", "crumbs", "main"]) {
      const [old, next] = [one("#" + id), fresh.getElementById(id)];
      if (old && next) renew(old, next);
    }
    document.title = fresh.title;
    dress();
    if (stick) toBottom();
    countUnread(stick);
  }

  function countUnread(stick) {
    if (!unread) return;
    if (stick || atBottom()) seenSeq = lastSeq();
    const count = all("#log > li").filter((line) => Number(line.dataset.key) > seenSeq).length;
    unread.hidden = count === 0;
    unread.textContent = count + " new below";
  }

  async function refresh() {
    if (busy) return;
    busy = true;
    const url = location.href;
    try {
      const fresh = await load(url);
      if (url === location.href && !paused && !occupied()) show(fresh);
      if (!paused) state("live", "ok", "renewed " + new Date().toLocaleTimeString());
    } catch (error) {
      if (!paused) failed(error);
    }
    busy = false;
  }

  /** What is shown stays: a trace that the agent has let go can still be read. */
  function failed(error) {
    if (error.status === 404) state("no longer held", "warn", "The agent has let this go; what is shown is from before.");
    else state("no answer", "err", "The agent does not answer; what is shown is from before. " + error.message);
  }

  // A profile stays as it is: there is nothing to renew, and a drawing that is read must not move.
  const still = () => document.body.dataset.refresh === "0";

  function tick() {
    if (!still() && !paused && !document.hidden && !occupied()) refresh();
  }

  function pause() {
    paused = !paused;
    pauseButton.textContent = paused ? "Resume" : "Pause";
    pauseButton.setAttribute("aria-pressed", String(paused));
    const since = new Date().toLocaleTimeString();
    if (paused) state("paused since " + since, "warn"); else { state("live", "ok"); refresh(); }
  }

  // ---- top bar

  function theme() {
    root.dataset.theme = themeNow() === "dark" ? "light" : "dark";
    store.write("theme", root.dataset.theme);
    nameTheme();
  }
  let themeButton;
  const nameTheme = () => { themeButton.textContent = themeNow() === "dark" ? "Light" : "Dark"; };

  function button(text, act, title) {
    const made = make("button", { type: "button", title });
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  function tools() {
    live = make("span", { class: "live ok", role: "status" }, "live");
    pauseButton = button("Pause", pause, "Pause (p)");
    themeButton = button("", theme, "Theme (t)");
    one("#tools").append(live, pauseButton, themeButton, button("?", help, "Keys (?)"));
    if (still()) {
      pauseButton.hidden = true;
      live.hidden = true;
    }
    nameTheme();
    dark.addEventListener("change", nameTheme);
    if (document.body.dataset.page === "logs") {
      unread = button("", toBottom, "To the newest line");
      unread.className = "unread";
      unread.hidden = true;
      document.body.append(unread);
      addEventListener("scroll", () => countUnread(false), { passive: true });
    }
  }

  // ---- what the server cannot know: copy buttons, folded spans

  function dress() {
    for (const source of all("[data-copy]")) {
      if (source.nextElementSibling?.classList.contains("copy")) continue;
      const copy = button("Copy", async () => {
        try {
          await navigator.clipboard.writeText(source.dataset.copy);
          copy.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(source);
          copy.textContent = "Selected";
        }
        setTimeout(() => { copy.textContent = "Copy"; }, 1500);
      }, "Copy");
      copy.classList.add("copy");
      source.after(copy);
    }
    foldSpans();
    rove();
  }

  const level = (row) => Number(row.getAttribute("aria-level"));
  const rowsOf = () => all(".waterfall tbody tr");

  function foldSpans() {
    let hiddenBelow = Infinity;
    for (const row of rowsOf()) {
      if (level(row) <= hiddenBelow) hiddenBelow = Infinity;
      row.hidden = hiddenBelow !== Infinity;
      if (!row.hidden && row.getAttribute("aria-expanded") === "false") hiddenBelow = level(row);
    }
  }

  function fold(row, open) {
    if (!row.hasAttribute("aria-expanded")) return false;
    if ((row.getAttribute("aria-expanded") === "true") === open) return false;
    row.setAttribute("aria-expanded", String(open));
    foldSpans();
    return true;
  }

  async function soft(href, push = true) {
    const focused = document.activeElement?.closest?.("tr")?.id;
    const frame = document.activeElement?.matches?.(".f") && href;
    try {
      const fresh = await load(href);
      if (push) history.pushState(null, "", href);
      show(fresh);
      const chosen = one(".waterfall tr[aria-selected=true]");
      for (const row of rowsOf()) row.tabIndex = row === chosen ? 0 : -1;
      if (focused && chosen) chosen.focus({ preventScroll: true });
      if (frame) frames().find((one) => one.getAttribute("href") === frame)?.focus({ preventScroll: true });
    } catch (error) { failed(error); }
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const mark = event.target.closest(".fold");
    if (mark) {
      const row = mark.closest("tr");
      fold(row, row.getAttribute("aria-expanded") !== "true");
      return;
    }
    const row = event.target.closest(".waterfall tbody tr");
    const link = row ? one("a[data-soft]", row) : event.target.closest("a[data-soft]");
    if (!link || !getSelection().isCollapsed) return;
    event.preventDefault();
    soft(link.getAttribute("href"));
  });
  addEventListener("popstate", () => soft(location.href, false));

  // ---- the flame graph: one stop for Tab, arrows from frame to frame

  const frames = () => all(".icicle .f");
  const pathOf = (frame) => frame.dataset.key.slice(2).split(".").filter(Boolean);

  function rove() {
    const drawn = frames();
    const stop = drawn.includes(document.activeElement) ? document.activeElement : drawn.findLast((f) => f.matches(".above")) ?? drawn[0];
    for (const frame of drawn) frame.setAttribute("tabindex", frame === stop ? "0" : "-1");
  }

  function move(key) {
    const now = document.activeElement;
    if (!now?.matches?.(".f")) return false;
    const drawn = frames(), at = drawn.indexOf(now), path = pathOf(now);
    const below = (f) => pathOf(f).length === path.length + 1 && path.every((index, place) => pathOf(f)[place] === index);
    const next = {
      ArrowDown: () => drawn.find(below),
      ArrowUp: () => drawn.find((f) => pathOf(f).join(".") === path.slice(0, -1).join(".")),
      ArrowLeft: () => drawn[at - 1],
      ArrowRight: () => drawn[at + 1],
    }[key]?.();
    const sideways = key === "ArrowLeft" || key === "ArrowRight";
    if (next && (!sideways || pathOf(next).length === path.length)) {
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
      rove();
    }
    return true;
  }

  // ---- keys

  const PLACES = { o: "/", t: "/traces", m: "/metrics", l: "/logs", e: "/errors", y: "/profiles", p: "/payloads", s: "/settings" };
  const KEYS = [
    ["g then o t m l e y p s", "go to Overview, Traces, Metrics, Logs, Errors, Profiles, Payloads, Settings"],
    ["arrows", "from frame to frame of a flame graph; Enter fills the width with one"],
    ["/", "search"], ["j  k", "next and previous row"], ["Enter", "open the row"],
    ["h  l", "fold and unfold a span"], ["[  ]", "fold and unfold all spans"],
    ["p", "pause or resume"], ["t", "light or dark"], ["Esc", "leave the search, close this"], ["?", "this list"],
  ];
  let afterG = 0, helpBox;
  const keysOn = () => store.read("keys") !== "off";

  function help() {
    if (!helpBox) {
      const list = make("dl", { class: "pairs" });
      for (const [keys, what] of KEYS) list.append(make("dt", {}, make("kbd", {}, keys)), make("dd", {}, what));
      const close = button("Close", () => helpBox.close(), "Close (Esc)");
      const single = button("", () => { store.write("keys", keysOn() ? "off" : "on"); nameKeys(); }, "For speech input");
      const nameKeys = () => { single.textContent = keysOn() ? "Turn keys off" : "Turn keys on"; };
      nameKeys();
      helpBox = make("dialog", { "aria-label": "Keys" }, make("h2", {}, "Keys"), list, make("p", {}, close, " ", single));
      document.body.append(helpBox);
    }
    if (helpBox.open) helpBox.close(); else helpBox.showModal();
  }

  const listRows = () => all("main tbody tr, main .log > li").filter((row) => !row.hidden && row.offsetParent);

  function step(by) {
    const rows = listRows();
    if (!rows.length) return;
    const active = document.activeElement?.closest?.("main tbody tr, main .log > li");
    const at = rows.indexOf(active);
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
    next.tabIndex = -1;
    if (next.closest(".waterfall")) {
      for (const row of rowsOf()) row.tabIndex = row === next ? 0 : -1;
    }
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function openRow() {
    const row = document.activeElement;
    if (!row?.matches?.("main tbody tr, main .log > li")) return false;
    const link = one("a[href]", row), folded = one("details", row);
    if (link && link.hasAttribute("data-soft")) soft(link.href);
    else if (folded) folded.open = !folded.open;
    else if (link) link.click();
    return true;
  }

  function sideways(open) {
    const row = document.activeElement?.closest?.(".waterfall tbody tr");
    if (!row) return false;
    if (fold(row, open)) return true;
    if (open) { step(1); return true; }
    const rows = rowsOf();
    for (let at = rows.indexOf(row) - 1; at >= 0; at--) {
      if (level(rows[at]) < level(row)) { rows[at].focus(); break; }
    }
    return true;
  }

  const foldAll = (open) => {
    for (const row of rowsOf()) if (row.hasAttribute("aria-expanded")) row.setAttribute("aria-expanded", String(open));
    foldSpans();
  };

  function act(event) {
    if (event.key.startsWith("Arrow") && move(event.key)) return true;
    const inTree = Boolean(document.activeElement?.closest?.(".waterfall tbody tr"));
    switch (event.key) {
      case "/": one("#q").focus(); one("#q").select(); return true;
      case "j": step(1); return true;
      case "k": step(-1); return true;
      case "ArrowDown": return inTree && (step(1), true);
      case "ArrowUp": return inTree && (step(-1), true);
      case "h": case "ArrowLeft": return sideways(false);
      case "l": case "ArrowRight": return sideways(true);
      case "[": foldAll(false); return true;
      case "]": foldAll(true); return true;
      case "Enter": return openRow();
      case "p": if (!still()) pause(); return true;
      case "t": theme(); return true;
      case "?": help(); return true;
      default: return false;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      return;
    }
    if (helpBox?.open && event.key !== "?") return;
    if (!keysOn() && event.key.length === 1) return;
    const place = performance.now() - afterG < 1500 ? PLACES[event.key] : undefined;
    afterG = event.key === "g" ? performance.now() : 0;
    if (place) location.href = place;
    else if (!act(event)) return;
    event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", () => {
    tools();
    dress();
    one("#rail [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (document.body.dataset.page === "logs") {
      if (!location.hash) toBottom();
      seenSeq = lastSeq();
    }
    if (!still()) setInterval(tick, Number(document.body.dataset.refresh) || 2000);
    document.addEventListener("visibilitychange", tick);
  });
})();
