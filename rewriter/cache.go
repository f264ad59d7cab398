package rewriter

import (
	"net/http"
	"strings"
)

// PrivateCache keeps shared caches from storing a response whose body depends
// on one visitor's consent: Cache-Control gets "private" unless it is as strict
// or stricter already, loses "public", "s-maxage" and what only shared caches
// heed, and the fields that speak to a CDN past Cache-Control are removed: all
// targeted ones (RFC 9213 names them "…-Cache-Control"), Surrogate-Control,
// Edge-Control and X-Accel-Expires. Everything else, max-age included, stays.
func PrivateCache(h http.Header) {
	for key := range h {
		if cdnCacheField(key) {
			delete(h, key)
		}
	}
	strict := false
	filterHeaderLines(h, "Cache-Control", func(line string) string {
		return keepHeaderMembers(line, ',', false, func(member string, _ bool) bool {
			name, _, hasValue := strings.Cut(member, "=")
			name = strings.ToLower(headerTrim(name))
			switch name {
			case "private":
				// private="field" only speaks of that field.
				strict = strict || !hasValue
				return !hasValue
			case "no-store":
				strict = true
			case "public", "s-maxage", "proxy-revalidate":
				return false
			}
			return true
		})
	})
	if strict {
		return
	}
	lines := h["Cache-Control"]
	if len(lines) == 0 || headerTrim(lines[0]) == "" {
		h["Cache-Control"] = append([]string{"private"}, lines[min(1, len(lines)):]...)
		return
	}
	h["Cache-Control"] = append([]string{"private, " + lines[0]}, lines[1:]...)
}

func cdnCacheField(key string) bool {
	const targeted = "-Cache-Control"
	if len(key) > len(targeted) && headerFold(key[len(key)-len(targeted):], targeted) {
		return true
	}
	return headerFold(key, "Surrogate-Control") || headerFold(key, "Edge-Control") || headerFold(key, "X-Accel-Expires")
}

// AddVary adds request fields to Vary, each once; a "*" covers them all. What is
// added makes the field one line: nginx before 1.23 heeds only the last one.
func AddVary(h http.Header, fields ...string) {
	for _, field := range fields {
		if varies(h, field) {
			continue
		}
		var members []string
		for _, line := range h["Vary"] {
			if headerTrim(line) != "" {
				members = append(members, line)
			}
		}
		h["Vary"] = []string{strings.Join(append(members, field), ", ")}
	}
}

func varies(h http.Header, field string) bool {
	for _, line := range h["Vary"] {
		for member := range strings.SplitSeq(line, ",") {
			if member = headerTrim(member); member == "*" || headerFold(member, field) {
				return true
			}
		}
	}
	return false
}
