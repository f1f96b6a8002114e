// A client of the live protocol `merganser.v1`: subscribes, keeps each answer's state, and comes back after every loss.
//
//   const live = new Merganser("wss://host/ws", { token });
//   const brief = live.subscribe("city_brief", { city: "madrid" }, { change: (state, message) => render(state) });
//   brief.close(); live.close();
//
// The rules it keeps (docs/live.md): `offset` is kept from `subscribed`, `complete` and `update`, never from `part`; an
// `update` whose `prev` is another offset means that something was lost, and the subscription resumes from where it
// stands; a lost connection is opened again after a random, growing pause, or in the window that `reconnect` named.

const PROTOCOL = "merganser.v1";
const FATAL = new Set([1002, 1007, 1009, 4400, 4401, 4403, 4406, 4409]); // trying again would end the same way
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
const PATIENCE = 20_000; // beyond the ping interval: after so much silence the connection is held to be dead

/** A random time up to a bound that doubles with each failure ("full jitter"). */
const pauseAfter = (failures) => Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);

/** One subscription: `state` is the answer so far, `complete` whether all of it is there, `sources` how each call went. */
class Subscription {
  constructor(client, endpoint, params, options) {
    Object.assign(this, { client, endpoint, params, options, id: null, state: {}, sources: {}, complete: false, failures: 0 });
    this.position = null; // {epoch, offset}: from where to resume
    this.phase = "new"; // > syncing > live > ended
  }

  /** Ends the subscription; no handler is called after it. */
  close() {
    if (this.phase === "ended") return;
    this._end();
    this.client._drop(this, true);
  }

  _end() {
    clearTimeout(this.timer);
    this.phase = "ended";
  }

  _request() {
    const { live = true, minInterval = 0 } = this.options;
    const payload = { endpoint: this.endpoint, params: this.params, live };
    if (minInterval) payload.min_interval_ms = minInterval;
    if (this.position) payload.resume = this.position;
    return payload;
  }

  _on_subscribed({ payload }) {
    if (payload.recovered !== true) {
      this.state = {};
      this.sources = {};
    }
    this.position = { epoch: payload.epoch, offset: payload.offset };
    this.isKeyed = true;
    this.phase = "syncing";
  }

  _on_part(message) {
    this.state = { ...this.state, [message.part]: message.data };
    this._changed(message);
  }

  _on_complete(message) {
    this.isKeyed = !("data" in message); // else the answer has no fixed keys: it comes whole
    if (!this.isKeyed) this.state = message.data;
    this.position.offset = message.offset;
    this.phase = "live";
    this.failures = 0;
    if (!message.live) {
      this._end();
      this.client._drop(this, false);
    }
    this._changed(message);
    if (message.error) this.options.error?.(message.error);
  }

  _on_update(message) {
    if (message.prev !== this.position.offset) return this.client._again(this); // something was lost: resume
    if ("data" in message) this.state = this.isKeyed ? { ...this.state, ...message.data } : message.data;
    this.position.offset = message.offset;
    this._changed(message);
  }

  _on_error({ payload }) {
    if (!payload.retryable) this._end();
    this.client._drop(this, false);
    if (!payload.retryable) return this.options.error?.(payload);
    const pause = payload.retry_after_ms ?? pauseAfter(this.failures++);
    this.timer = setTimeout(() => this.client._ask(this), pause);
  }

  _changed(message) {
    this.sources = { ...this.sources, ...message.sources };
    if ("complete" in message) this.complete = message.complete;
    this.options.change?.(this.state, message);
  }
}

/** One connection that many subscriptions share. `options`: token (or a function that gives one), status(text). */
export class Merganser {
  constructor(url, options = {}) {
    Object.assign(this, { url, options, count: 0, failures: 0, isReady: false, isClosed: false });
    this.subscriptions = new Set();
    this.byId = new Map();
    this._open();
  }

  /** Subscribes. `options`: live, minInterval (ms), change(state, message), error(payload). */
  subscribe(endpoint, params = {}, options = {}) {
    const subscription = new Subscription(this, endpoint, params, options);
    this.subscriptions.add(subscription);
    if (this.isReady) this._ask(subscription);
    return subscription;
  }

  /** Ends everything. */
  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    for (const subscription of this.subscriptions) subscription._end();
    this.subscriptions.clear();
    const { socket } = this;
    if (socket.readyState === 0) socket.onopen = () => socket.close(1000); // closed before it is open, a browser calls it an error
    else socket.close(1000);
  }

  _open() {
    this.window = null;
    const socket = (this.socket = new WebSocket(this.url, [PROTOCOL]));
    socket.onopen = async () => {
      const { token } = this.options;
      const given = typeof token === "function" ? await token() : token;
      if (socket.readyState === 1) this._send({ type: "connection_init", payload: given === undefined ? {} : { token: given } });
    };
    socket.onmessage = ({ data }) => socket === this.socket && this._take(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this._lost(code);
  }

  _send(message) {
    if (this.socket.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  _take(message) {
    this._watch();
    if (message.type === "connection_ack") this._acknowledged(message.payload);
    else if (message.type === "ping") this._send({ ...message, type: "pong" });
    else if (message.type === "reconnect") this.window = message.payload;
    else this.byId.get(message.id)?.[`_on_${message.type}`]?.(message);
  }

  _acknowledged(payload) {
    this.silence = payload.ping_interval_ms + PATIENCE;
    this.isReady = true;
    this.failures = 0;
    this.options.status?.("connected");
    for (const subscription of this.subscriptions) this._ask(subscription);
  }

  /** After too much silence the connection is dead, whatever the browser thinks. */
  _watch() {
    clearTimeout(this.watchdog);
    const giveUp = () => (this.socket.close(), this._lost(1006));
    if (this.silence) this.watchdog = setTimeout(giveUp, this.silence);
  }

  _lost(code) {
    clearTimeout(this.watchdog);
    this.socket.onclose = this.socket.onmessage = null;
    this.isReady = false;
    this.byId.clear();
    if (this.isClosed) return;
    this.options.status?.(FATAL.has(code) ? "refused" : "reconnecting", code);
    if (FATAL.has(code)) return this.close();
    const { min_delay_ms: min, max_delay_ms: max } = this.window ?? {};
    const pause = this.window ? min + Math.random() * (max - min) : pauseAfter(this.failures++);
    this.timer = setTimeout(() => this._open(), pause);
  }

  _ask(subscription) {
    clearTimeout(subscription.timer);
    if (!this.isReady) return;
    subscription.id = `s${++this.count}`;
    this.byId.set(subscription.id, subscription);
    this._send({ type: "subscribe", id: subscription.id, payload: subscription._request() });
  }

  _again(subscription) {
    this._send({ type: "unsubscribe", id: subscription.id });
    this.byId.delete(subscription.id);
    this._ask(subscription);
  }

  _drop(subscription, tells) {
    if (tells && subscription.id !== null) this._send({ type: "unsubscribe", id: subscription.id });
    this.byId.delete(subscription.id);
    if (subscription.phase === "ended") this.subscriptions.delete(subscription);
  }
}
