// Script of the pages: keeps them fresh, counts down, and gives each action its key. Every action works without it.
"use strict";

(() => {
  const body = document.body;
  const root = document.documentElement;
  const at = (name) => document.getElementById(name);

  // The adapter's clock: what it showed when the page or a fragment was drawn, run on from there.
  const clock = { shown: Number(body.dataset.now), since: performance.now(), speed: Number(body.dataset.speed) || 1 };
  const now = () => clock.shown + (performance.now() - clock.since) * clock.speed;
  const setClock = (shown) => {
    if (shown) {
      clock.shown = Number(shown);
      clock.since = performance.now();
    }
  };

  // --- The address: pin the call that is shown, so that a refresh never shows another; forget what was said.
  const pin = () => {
    const url = new URL(location.href);
    url.searchParams.delete("said");
    url.searchParams.delete("lang");
    const call = at("call");
    if (call && call.dataset.call) url.searchParams.set("call", call.dataset.call);
    history.replaceState(null, "", url);
  };

  // --- Countdowns.
  const tick = () => {
    for (const timer of document.querySelectorAll(".timer")) {
      const left = Math.max(0, Math.ceil((Number(timer.dataset.deadline) - now()) / 1000));
      timer.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
      timer.classList.toggle("soon", left <= 20);
      if (left === 0 && !timer.dataset.over) {
        timer.dataset.over = "true";
        setTimeout(refreshAll, 400);
      }
    }
  };

  // --- Keys: inert for a moment after anything under them changed, so that no key answers what was not read.
  const GUARD_MS = 600;
  let keysFrom = performance.now() + 250;
  const arm = () => {
    root.dataset.keys = performance.now() < keysFrom ? "waiting" : "ready";
    if (root.dataset.keys === "waiting") setTimeout(arm, keysFrom - performance.now() + 1);
  };
  const guardKeys = () => {
    keysFrom = performance.now() + GUARD_MS;
    arm();
  };
  const stored = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("keys");
      localStorage.setItem("keys", value);
    } catch { /* storage is closed: the switch holds for this page only */ }
    return null;
  };
  let keysOn = stored() !== "off";
  const showKeys = () => {
    root.classList.toggle("keys-off", !keysOn);
    const button = at("keys");
    if (!button) return;
    button.hidden = !document.querySelector("[data-key]");
    button.setAttribute("aria-pressed", String(keysOn));
  };

  const press = (target) => {
    if (target.tagName === "SUMMARY") {
      const list = target.parentElement;
      list.open = !list.open;
      const first = list.open && list.querySelector("input:checked, button");
      (first || target).focus();
    } else {
      target.click();
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const list = at("override");
    if (event.key === "Escape" && list && list.open) {
      list.open = false;
      list.querySelector("summary").focus();
      return;
    }
    const typing = event.target.closest && event.target.closest("input:not([type=radio]), select, textarea");
    if (!keysOn || typing || root.dataset.sent || performance.now() < keysFrom) return;
    let target = null;
    if (/^[1-9]$/.test(event.key)) {
      const scope = list && list.open ? list : at("question");
      target = scope && scope.querySelector(`[data-digit="${event.key}"]`);
    } else if (/^[a-z]$/i.test(event.key)) {
      target = document.querySelector(`[data-key="${event.key.toLowerCase()}"]`);
    }
    if (target) {
      event.preventDefault();
      press(target);
    }
  });

  // One press is one request, however often the button is hit.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (root.dataset.sent) event.preventDefault();
    root.dataset.sent = "true";
  });
  addEventListener("pageshow", () => { delete root.dataset.sent; });

  // --- Fragments: fetched as a parsed document, so that no text ever becomes markup here.
  const nameOf = (element) => {
    if (element.id) return "#" + element.id;
    const form = element.form || element.closest("form");
    return [form && form.getAttribute("action"), element.name, element.value, element.getAttribute("href")].join("|");
  };
  const find = (within, name) => {
    for (const element of within.querySelectorAll("a, button, select, input, summary, details, [tabindex]")) {
      if (nameOf(element) === name) return element;
    }
    return null;
  };

  const replace = (old, fresh) => {
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    for (const list of old.querySelectorAll("details[open]")) {
      const same = list.id && fresh.querySelector("#" + CSS.escape(list.id));
      if (same) same.open = true;
    }
    for (const choice of old.querySelectorAll("select, input[type=radio]:checked")) {
      const same = choice.id ? fresh.querySelector("#" + CSS.escape(choice.id)) : find(fresh, nameOf(choice));
      if (!same) continue;
      if (choice.tagName === "SELECT") same.value = choice.value;
      else same.checked = true;
    }
    const seen = (panel) => [...panel.querySelectorAll("[data-seen]")].map((one) => one.dataset.seen).join(" ");
    const before = seen(old);
    const waited = Number(old.dataset.waiting || 0);
    const scrolled = old.scrollTop;
    old.replaceWith(fresh);
    fresh.scrollTop = scrolled;
    setClock(fresh.dataset.now);
    if (seen(fresh) !== before) {
      guardKeys();
      const title = at("reco-title");
      if (title && fresh.contains(title)) say(title.textContent);
    }
    if (Number(fresh.dataset.waiting || 0) > waited) say(fresh.dataset.announce);
    if (focused) (find(fresh, focused) || fresh).focus({ preventScroll: true });
    if (!old.dataset.call && fresh.dataset.call) pin();
    count();
    showKeys();
    tick();
  };

  const say = (text) => { at("announce").textContent = text || ""; };
  const title = document.title;
  const count = () => {
    const waiting = document.querySelector("[data-waiting]");
    const number = waiting ? Number(waiting.dataset.waiting) : 0;
    document.title = number > 0 ? `(${number}) ${title}` : title;
  };

  const due = new Map();
  const refresh = (name) => {
    const element = document.querySelector(`[data-fragment="${name}"]`);
    if (!element || due.has(name)) return;
    due.set(name, setTimeout(() => load(name), element.dataset.slow ? 1500 : 80));
  };
  const load = (name) => {
    const url = new URL(location.href);
    url.hash = "";
    url.searchParams.delete("said");
    url.searchParams.set("fragment", name);
    const call = at("call");
    if (call && call.dataset.call) url.searchParams.set("call", call.dataset.call);
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.timeout = 10000;
    request.onloadend = () => {
      due.delete(name);
      if (request.status === 401) location.assign("/sign-in");
      const fresh = request.status === 200 && request.response && request.response.body.firstElementChild;
      const old = document.querySelector(`[data-fragment="${name}"]`);
      if (fresh && old && !root.dataset.sent) replace(old, document.adoptNode(fresh));
    };
    request.send();
  };
  const refreshAll = () => {
    for (const element of document.querySelectorAll("[data-fragment]")) refresh(element.dataset.fragment);
  };

  // --- The stream: says which call changed; what changed is asked for.
  const listen = () => {
    const live = at("live");
    const show = (on) => {
      live.textContent = on ? body.dataset.live : body.dataset.lost;
      live.classList.toggle("lost", !on);
    };
    const stream = new EventSource("/events");
    stream.onopen = () => { show(true); refreshAll(); };
    stream.onerror = () => {
      show(false);
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
    };
    stream.addEventListener("again", refreshAll);
    stream.onmessage = (event) => {
      const { incident } = JSON.parse(event.data);
      const call = at("call");
      for (const element of document.querySelectorAll("[data-fragment]")) {
        const name = element.dataset.fragment;
        if (name !== "call" || !call.dataset.call || call.dataset.call === incident) refresh(name);
      }
    };
    addEventListener("pagehide", () => stream.close(), { once: true });
  };

  if (document.querySelector("[data-fragment]")) {
    pin();
    count();
    showKeys();
    arm();
    tick();
    setInterval(tick, clock.speed > 4 ? 200 : 1000);
    setInterval(() => refresh("queue"), 30000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshAll(); });
    listen();
    at("keys").addEventListener("click", () => {
      keysOn = !keysOn;
      stored(keysOn ? "on" : "off");
      showKeys();
    });
  }
})();
