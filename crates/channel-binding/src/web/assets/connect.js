// The connect page. Everything that comes from outside is put in as text, never as markup.
'use strict';
(() => {
  const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
  const base = meta('base');
  const token = meta('csrf-token');
  const list = document.getElementById('platforms');
  const news = document.getElementById('news');
  const cards = new Map();
  const waiting = new Map();
  const POLL = 2000;

  const WHY = {
    not_configured: 'The operator has not set this up yet.',
    not_running: 'This is not running at the moment.',
    store_unavailable: 'This is temporarily unavailable.',
  };
  const REFUSED = {
    too_many_codes: 'Five codes are waiting already. Use one, or wait ten minutes.',
    signed_out: 'You are signed out. Sign in and come back.',
    forged: 'This page is too old. Load it again.',
  };
  const say = (text) => { news.textContent = text; };
  const refused = (error) => REFUSED[error] || WHY[error] || 'That did not work. Try again later.';

  async function call(method, path) {
    let response;
    try {
      response = await fetch(base + path, {
        method,
        headers: method === 'GET' ? {} : { 'X-CSRF-Token': token },
        credentials: 'same-origin',
        cache: 'no-store',
      });
    } catch {
      throw new Error('offline');
    }
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(body.error || 'refused');
    return body;
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function button(text, className, act) {
    const made = element('button', text, className);
    made.type = 'button';
    made.addEventListener('click', act);
    return made;
  }

  const holds = (platform) => platform.bindings.filter((it) => it.status === 'connected');
  const nameOf = (binding) => binding.account_name || binding.account_id;

  function card(platform) {
    let shown = cards.get(platform.platform);
    if (!shown) {
      shown = document.getElementById('platform').content.cloneNode(true).firstElementChild;
      shown.dataset.platform = platform.platform;
      shown.querySelector('h2').textContent = platform.display_name;
      shown.querySelector('.connect').addEventListener('click', () => connect(platform.platform));
      shown.querySelector('.accounts').setAttribute('aria-label', `Accounts on ${platform.display_name}`);
      cards.set(platform.platform, shown);
      list.append(shown);
    }
    return shown;
  }

  function status(shown, platform) {
    const connected = holds(platform).length > 0;
    const state = shown.querySelector('.state');
    state.textContent = connected ? 'Connected' : 'Not connected';
    state.classList.toggle('connected', connected);
    const why = shown.querySelector('.why');
    why.textContent = WHY[platform.unavailable_reason] || '';
    why.hidden = !why.textContent;
    const connecting = shown.querySelector('.connect');
    connecting.textContent = connected ? 'Connect another' : 'Connect';
    connecting.setAttribute('aria-label', `${connecting.textContent}: ${platform.display_name}`);
    connecting.disabled = !platform.connectable;
  }

  function draw(platform) {
    const shown = card(platform);
    status(shown, platform);
    const rows = holds(platform).map((binding) => {
      const row = element('li', undefined, 'row');
      row.append(element('span', nameOf(binding), 'name'));
      const off = button('Disconnect', 'danger', () => ask(platform, binding));
      off.setAttribute('aria-label', `Disconnect ${nameOf(binding)} on ${platform.display_name}`);
      row.append(off);
      return row;
    });
    shown.querySelector('.accounts').replaceChildren(...rows);
  }

  async function refresh() {
    try {
      (await call('GET', '/api/platforms')).forEach(draw);
    } catch (error) {
      say(refused(error.message));
    }
    list.setAttribute('aria-busy', 'false');
  }

  async function connect(name) {
    stop(name);
    const shown = cards.get(name);
    const connecting = shown.querySelector('.connect');
    connecting.disabled = true;
    try {
      const before = await call('GET', `/api/platforms/${encodeURIComponent(name)}`);
      const offer = await call('POST', `/api/platforms/${encodeURIComponent(name)}/connect`);
      offered(shown, before, offer);
    } catch (error) {
      say(refused(error.message));
    }
    connecting.disabled = false;
  }

  function offered(shown, before, offer) {
    const panel = shown.querySelector('.panel');
    const left = element('span', '', 'left');
    const buttons = element('div', undefined, 'row');
    const line = offer.url ? undefined : `/connect ${offer.code}`;
    panel.replaceChildren(element('p', line ? 'Send this to the bot in a direct chat:' : offer.instruction));
    if (line) {
      panel.append(element('code', line));
      buttons.append(button('Copy', 'primary', () => copy(line)));
    } else {
      const link = element('a', `Open ${before.display_name}`, 'button primary');
      link.href = offer.url;
      link.target = '_blank';
      link.rel = 'noopener noreferrer';
      buttons.append(link);
      // Opened with its opener cleared; where a browser blocks it the link is there.
      window.open(offer.url, '_blank', 'noopener,noreferrer');
    }
    buttons.append(button('Cancel', '', () => { stop(before.platform); close(shown); }));
    panel.append(buttons, left);
    panel.hidden = false;
    (buttons.querySelector('.primary')).focus();
    say(line ? 'A code is ready. It holds for ten minutes.' : 'A link is ready. It holds for ten minutes.');
    wait(shown, before, offer, left);
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      say('Copied.');
    } catch {
      say('Copying is not allowed here. Select the text instead.');
    }
  }

  // One poll for each platform, until it is connected or the code has expired.
  function wait(shown, before, offer, left) {
    const seconds = Number.isFinite(offer.expires_in) && offer.expires_in > 0 ? offer.expires_in : 600;
    const end = Date.now() + seconds * 1000;
    const known = new Map(holds(before).map((it) => [it.id, it.updated_at]));
    const poll = { done: false };
    waiting.set(before.platform, poll);
    const tick = () => {
      if (poll.done) return;
      const rest = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      left.textContent = `${Math.floor(rest / 60)}:${String(rest % 60).padStart(2, '0')} left`;
      if (rest > 0) poll.clock = setTimeout(tick, 1000);
    };
    const look = async () => {
      if (poll.done) return;
      if (Date.now() >= end) {
        stop(before.platform);
        say('The code has expired.');
        ended(shown, before, 'The code has expired. Connect again for a new one.');
        return;
      }
      const now = await call('GET', `/api/platforms/${encodeURIComponent(before.platform)}`).catch(() => null);
      const fresh = now && holds(now).find((it) => known.get(it.id) !== it.updated_at);
      if (poll.done) return;
      if (fresh) {
        stop(before.platform);
        status(shown, now);
        say(`Connected: ${nameOf(fresh)} on ${now.display_name}.`);
        ended(shown, now, `Connected as ${nameOf(fresh)}.`);
        return;
      }
      poll.next = setTimeout(look, POLL);
    };
    tick();
    poll.next = setTimeout(look, POLL);
  }

  function stop(name) {
    const poll = waiting.get(name);
    if (!poll) return;
    poll.done = true;
    clearTimeout(poll.clock);
    clearTimeout(poll.next);
    waiting.delete(name);
  }

  // The panel keeps its place, so that nothing jumps while nobody has touched anything.
  function ended(shown, platform, text) {
    const panel = shown.querySelector('.panel');
    const done = button('Done', 'primary', () => { close(shown); refresh(); });
    panel.replaceChildren(element('p', text), done);
  }

  function close(shown) {
    const panel = shown.querySelector('.panel');
    panel.hidden = true;
    panel.replaceChildren();
    shown.querySelector('.connect').focus();
  }

  function ask(platform, binding) {
    const dialog = document.getElementById('confirm');
    document.getElementById('confirm-text').textContent =
      `${nameOf(binding)} on ${platform.display_name} will be a stranger. Its conversations are kept.`;
    const yes = document.getElementById('confirm-yes');
    const no = document.getElementById('confirm-no');
    no.onclick = () => dialog.close();
    yes.onclick = async () => {
      dialog.close();
      try {
        await call('DELETE', `/api/bindings/${encodeURIComponent(binding.id)}`);
        say(`Disconnected: ${nameOf(binding)}.`);
      } catch (error) {
        say(refused(error.message));
      }
      await refresh();
      cards.get(platform.platform).querySelector('.connect').focus();
    };
    dialog.showModal();
  }

  refresh();
})();
