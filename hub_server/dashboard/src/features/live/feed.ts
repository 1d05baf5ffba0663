/**
 * One WebSocket to the hub's events for the whole tab.
 *
 * It never carries data: an event says what changed, and the listener asks for it again over HTTP. A connection
 * that was lost may have missed events, so every listener gets a `resync` when it is back.
 */

import { hubUrl } from "../../lib/base";

export interface LiveEvent {
  topic: string;
  seq: number;
  type: string;
  id: string;
}

export type LiveState = "connecting" | "live" | "offline";
export type Listener = (event: LiveEvent | "resync") => void;

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

export class LiveFeed {
  state: LiveState = "connecting";
  private readonly subscriptions = new Map<Listener, readonly string[]>();
  private readonly stateListeners = new Set<() => void>();
  private socket: WebSocket | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private hasBeenLive = false;
  /** The number of the last event of each topic, as far as it was heard. */
  private readonly heard = new Map<string, number>();

  /** Starts listening to topics; the socket lives as long as somebody listens. Returns the end of it. */
  subscribe(topics: readonly string[], listener: Listener): () => void {
    this.subscriptions.set(listener, topics);
    if (this.socket || this.retry) this.announce();
    else this.connect();
    return () => {
      this.subscriptions.delete(listener);
      if (this.subscriptions.size === 0) this.close();
      else this.announce();
    };
  }

  onState(listener: () => void): () => void {
    this.stateListeners.add(listener);
    return () => this.stateListeners.delete(listener);
  }

  private connect(): void {
    this.retry = undefined;
    const url = hubUrl("api/v1/events");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (message) => this.received(message.data);
    socket.onclose = () => this.lost(socket);
  }

  private close(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    const socket = this.socket;
    this.socket = undefined;
    this.hasBeenLive = false;
    this.heard.clear();
    socket?.close();
  }

  private opened(): void {
    this.failures = 0;
    this.announce();
    this.become("live");
    if (this.hasBeenLive) this.emit("resync");
    this.hasBeenLive = true;
  }

  private lost(socket: WebSocket): void {
    if (socket !== this.socket) return; // closed by us
    this.socket = undefined;
    this.become("offline");
    const ceiling_ms = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures);
    this.failures += 1;
    // Jitter keeps the tabs of a team from returning in one wave when the hub restarts.
    this.retry = setTimeout(() => this.connect(), ceiling_ms * (0.5 + Math.random() / 2));
  }

  private announce(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const topics = [...new Set([...this.subscriptions.values()].flat())];
    this.socket.send(JSON.stringify({ subscribe: topics }));
  }

  private received(data: unknown): void {
    const event = typeof data === "string" ? readEvent(data) : null;
    if (event === null) return;
    if (event === "resync") return this.emit(event);
    const expected = (this.heard.get(event.topic) ?? event.seq) + (event.type === "subscribed" ? 0 : 1);
    const isKnown = this.heard.has(event.topic);
    this.heard.set(event.topic, event.seq);
    // A gap is an event that was lost; a hub that was started again counts from the beginning.
    if (isKnown && event.seq !== expected) this.emit("resync");
    else if (event.type !== "subscribed") this.emit(event);
  }

  private emit(event: LiveEvent | "resync"): void {
    for (const [listener, topics] of [...this.subscriptions]) {
      if (event === "resync" || topics.includes(event.topic)) listener(event);
    }
  }

  private become(state: LiveState): void {
    this.state = state;
    for (const notify of [...this.stateListeners]) notify();
  }
}

function readEvent(text: string): LiveEvent | "resync" | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null; // not ours; the next reconnect brings everything up to date
  }
  if (typeof message !== "object" || message === null || !("type" in message)) return null;
  if (message.type === "resync") return "resync";
  const { topic, seq, type, id } = { topic: "", seq: 0, id: "", ...message };
  return typeof type === "string" ? { topic: String(topic), seq: Number(seq), type, id: String(id) } : null;
}
