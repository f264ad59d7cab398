package rewriter

import (
	"net/http"
	"strings"
)

// trailerPrefix marks trailers in a response's header map
// (net/http.TrailerPrefix).
const trailerPrefix = http.TrailerPrefix

// headerFold reports whether a and b are equal but for the case of ASCII
// letters. strings.EqualFold would fold more than browsers do.
func headerFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if headerLowerByte(a[i]) != headerLowerByte(b[i]) {
			return false
		}
	}
	return true
}

func headerLowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// headerFirst returns the first line of a field, by its canonical name.
func headerFirst(h http.Header, canonicalKey string) string {
	if lines := h[canonicalKey]; len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// headerContains reports whether part, in lower case, stands in s in any case.
func headerContains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if headerLowerByte(s[i]) == part[0] && headerFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// headerBlank reports whether c is optional whitespace (OWS, RFC 9110, section
// 5.6.3).
func headerBlank(c byte) bool { return c == ' ' || c == '\t' }

// headerTrim removes SP and HTAB from both ends.
func headerTrim(s string) string {
	for s != "" && headerBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && headerBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// eachHeaderKey calls f for every key of h that names the field, in any case
// and also as a trailer. f may delete or replace the key it is called with.
func eachHeaderKey(h http.Header, field string, f func(key string)) {
	for key := range h {
		name := strings.TrimPrefix(key, trailerPrefix)
		if headerFold(name, field) {
			f(key)
		}
	}
}

// headerNames is a set of field names that header maps are searched for at once:
// nearly all messages have none of them, and a pass over a map for each name costs
// more than what else happens to an answer that passes.
type headerNames struct {
	names   []string
	lengths uint64 // a bit for each length of a name
}

func newHeaderNames(names ...string) headerNames {
	n := headerNames{names: names}
	for _, name := range names {
		n.lengths |= 1 << len(name) // beyond 63 nothing: such names are never found
	}
	return n
}

// in reports whether h has one of the fields, in any case and also as a trailer.
func (n *headerNames) in(h http.Header) bool {
	for key := range h {
		name := strings.TrimPrefix(key, trailerPrefix)
		if n.lengths>>len(name)&1 == 0 {
			continue
		}
		for _, field := range n.names {
			if headerFold(name, field) {
				return true
			}
		}
	}
	return false
}

// filterHeaderLines calls keep for every line of the field, under every
// spelling of its name and in trailers, and replaces the line by what keep
// returns; an empty answer removes the line. Keys without lines left go.
func filterHeaderLines(h http.Header, field string, keep func(line string) string) {
	eachHeaderKey(h, field, func(key string) {
		lines := h[key]
		// A new slice only when something goes: the map's slice may be shared.
		var out []string
		changed := false
		for i, line := range lines {
			kept := keep(line)
			if !changed && kept == line {
				continue
			}
			if !changed {
				changed = true
				out = append(make([]string, 0, len(lines)), lines[:i]...)
			}
			if kept != "" {
				out = append(out, kept)
			}
		}
		switch {
		case !changed:
		case len(out) == 0:
			delete(h, key)
		default:
			h[key] = out
		}
	})
}

// splitHeaderList calls f with the bounds of each member of line, cut at sep
// outside quoted strings, backslash escapes included (RFC 9110, section 5.6.4),
// and, if angle is set, outside <…>. Members keep their whitespace, so that
// joining them with sep gives back the line. closed is false for a last member
// that ends inside a quoted string or <…>.
func splitHeaderList(line string, sep byte, angle bool, f func(start, end int, closed bool)) {
	start := 0
	quoted, bracketed := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !bracketed:
			quoted = !quoted
		case quoted:
		case bracketed:
			bracketed = c != '>'
		case angle && c == '<':
			bracketed = true
		case c == sep:
			f(start, i, true)
			start = i + 1
		}
	}
	f(start, len(line), !quoted && !bracketed)
}

// keepHeaderMembers returns line without the members for which keep is false.
// What stays keeps its bytes: a member goes together with one separator, and
// the first survivor loses the whitespace that set it apart from a removed
// predecessor. Members arrive trimmed.
func keepHeaderMembers(line string, sep byte, angle bool, keep func(member string, closed bool) bool) string {
	var out []byte
	kept, dropped := 0, false
	splitHeaderList(line, sep, angle, func(start, end int, closed bool) {
		switch member := line[start:end]; {
		case !keep(headerTrim(member), closed):
			if !dropped && start > 0 {
				// All members so far stay, without the separator after them.
				out = append(out, line[:start-1]...)
			}
			dropped = true
			return
		case !dropped:
		case kept == 0:
			out = append(out, strings.TrimLeft(member, " \t")...)
		default:
			out = append(append(out, sep), member...)
		}
		kept++
	})
	if !dropped {
		return line
	}
	return string(out)
}
