<?php
// The visitor cookie of edgeproxy, signed and read with nothing but PHP (7.4 or newer).
//
// $keys: what EDGEPROXY_KEYS holds, comma-separated, oldest first; the newest (last) signs, all of them are believed.

const EDGE_VISITOR_MAX_AGE = 400 * 86400;

// The cookie's value for a visitor: $id is opaque, never a name, an address or an order's content.
function edge_visitor_sign(string $keys, ?string $stage, array $segments = [], ?string $id = null): string
{
    $visitor = ['v' => 1, 'stage' => $stage, 'segments' => array_values($segments), 'id' => $id];
    $visitor = array_filter($visitor, fn($value) => $value !== null);
    $body = edge_b64(json_encode($visitor)) . '.' . edge_b64(pack('N', time()));
    $all = edge_keys($keys);
    return $body . '.' . edge_signature(end($all), $body);
}

// The visitor of a cookie's value as an array; null for one that proves nothing.
function edge_visitor_read(string $keys, string $value, int $max_age = EDGE_VISITOR_MAX_AGE): ?array
{
    if (strlen($value) > 1200 || !preg_match('/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/D', $value)) {
        return null;
    }
    [$payload, $stamp, $signature] = explode('.', $value);
    $believed = array_filter(
        edge_keys($keys),
        fn($key) => hash_equals(edge_signature($key, "$payload.$stamp"), $signature)
    );
    if (!$believed) {
        return null;
    }
    $age = time() - hexdec(bin2hex(edge_unb64($stamp)));
    $visitor = json_decode(edge_unb64($payload), true);
    return ($visitor['v'] ?? null) === 1 && $age >= -60 && $age <= $max_age ? $visitor : null;
}

function edge_keys(string $keys): array
{
    return array_map('trim', explode(',', $keys));
}

function edge_signature(string $key, string $body): string
{
    $derived = hash_hmac('sha256', 'edgeproxy.visitor', $key, true);
    return edge_b64(hash_hmac('sha256', $body, $derived, true));
}

function edge_b64(string $raw): string
{
    return rtrim(strtr(base64_encode($raw), '+/', '-_'), '=');
}

function edge_unb64(string $text): string
{
    return base64_decode(strtr($text, '-_', '+/'));
}
