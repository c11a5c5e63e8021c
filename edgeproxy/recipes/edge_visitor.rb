# The visitor cookie of edgeproxy, signed and read with nothing but Ruby (2.7 or newer).
#
# keys: what EDGEPROXY_KEYS holds, comma-separated, oldest first; the newest (last) signs, all of them are believed.

require "json"
require "openssl"

module EdgeVisitor
  MAX_AGE = 400 * 86_400

  module_function

  # The cookie's value for a visitor: id is opaque, never a name, an address or an order's content.
  def sign(keys, stage: nil, segments: [], id: nil)
    visitor = { v: 1, stage: stage, segments: segments, id: id }.compact
    body = b64(visitor.to_json) + "." + b64([Time.now.to_i].pack("N"))
    body + "." + signature(split(keys).last, body)
  end

  # The visitor of a cookie's value as a Hash; nil for one that proves nothing.
  def read(keys, value, max_age: MAX_AGE)
    return if value.bytesize > 1200 || !value.match?(/\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\z/)

    payload, stamp, signed = value.split(".")
    believed = split(keys).select { |key| same?(signature(key, "#{payload}.#{stamp}"), signed) }
    return if believed.empty?

    age = Time.now.to_i - unb64(stamp).unpack1("H*").to_i(16)
    visitor = JSON.parse(unb64(payload).force_encoding("UTF-8"))
    visitor if visitor["v"] == 1 && age.between?(-60, max_age)
  end

  def split(keys)
    keys.split(",").map(&:strip)
  end

  def signature(key, body)
    derived = OpenSSL::HMAC.digest("SHA256", key, "edgeproxy.visitor")
    b64(OpenSSL::HMAC.digest("SHA256", derived, body))
  end

  def same?(one, other)
    one.bytesize == other.bytesize && OpenSSL.fixed_length_secure_compare(one, other)
  end

  def b64(raw)
    [raw].pack("m0").tr("+/", "-_").delete("=")
  end

  def unb64(text)
    text.tr("-_", "+/").unpack1("m")
  end
end
