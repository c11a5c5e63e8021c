// The visitor cookie of edgeproxy, signed and read with nothing but Node (16 or newer).
//
// keys: what EDGEPROXY_KEYS holds, comma-separated, oldest first; the newest (last) signs, all of them are believed.
"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");

const MAX_AGE = 400 * 86400;

// The cookie's value for a visitor: id is opaque, never a name, an address or an order's content.
function sign(keys, { stage, segments = [], id }) {
  const now = Buffer.alloc(4);
  now.writeUInt32BE(Math.floor(Date.now() / 1000));
  const visitor = { v: 1, stage: stage ?? undefined, segments, id: id ?? undefined };
  const body = Buffer.from(JSON.stringify(visitor)).toString("base64url") + "." + now.toString("base64url");
  return body + "." + signature(split(keys).pop(), body);
}

// The visitor of a cookie's value; null for one that proves nothing.
function read(keys, value, maxAge = MAX_AGE) {
  if (value.length > 1200 || !/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(value)) return null;
  const end = value.lastIndexOf(".");
  const body = value.slice(0, end);
  if (!split(keys).some((key) => same(signature(key, body), value.slice(end + 1)))) return null;
  const [payload, stamp] = body.split(".");
  const signed = Number.parseInt(Buffer.from(stamp, "base64url").toString("hex"), 16);
  const age = Date.now() / 1000 - signed;
  const visitor = JSON.parse(Buffer.from(payload, "base64url").toString());
  return visitor.v === 1 && age >= -60 && age <= maxAge ? visitor : null;
}

const split = (keys) => keys.split(",").map((key) => key.trim());

function signature(key, body) {
  const derived = createHmac("sha256", key).update("edgeproxy.visitor").digest();
  return createHmac("sha256", derived).update(body).digest("base64url");
}

const same = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

module.exports = { sign, read };
