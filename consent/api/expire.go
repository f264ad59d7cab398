package api

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/consentgate/consentgate/consent"
)

const (
	// maxHeader is the number of bytes the header of an answer may take: nginx, for
	// one, answers 502 in place of a longer one unless told otherwise, and the
	// visitor's withdrawal would be lost.
	maxHeader = 4 << 10
	// otherFields is what all header lines take but our cookie, Location and
	// deletions, with some room for what a server adds, such as Date and Alt-Svc.
	otherFields = 768
	// maxDirectories is how many directories of the page's path are tried.
	maxDirectories = 8

	lineOverhead = len("Set-Cookie: \r\n")
)

// A target is one place a cookie may be stored at. A browser deletes a cookie only
// if name, domain, path and partition are those it was set with, none of which it
// tells (RFC 6265bis, section 5.7).
type target struct {
	domain      string // "" for the host itself only
	path        string
	partitioned bool
}

// deletions returns the Set-Cookie values that delete the cookies of the request
// for which gone holds, wherever they may be stored, scripts' as well as HttpOnly
// ones. The likeliest places of all cookies come first; what does not fit into
// budget bytes of header lines is left out. Only cookies stored for "/" (or for the gateway's own
// prefix) reach this endpoint, so the paths below serve namesakes of those.
func deletions(cookieLines []string, gone func(name string) bool, s site, page string, budget int) []string {
	names := doomed(cookieLines, gone)
	if len(names) == 0 {
		return nil
	}
	var out []string
	for _, tier := range targets(s, page) {
		for _, name := range names {
			for _, t := range tier {
				line, ok := deletion(name, t, s.secure)
				if size := len(line) + lineOverhead; ok && size <= budget {
					out = append(out, line)
					budget -= size
				}
			}
		}
	}
	return out
}

// doomed returns the names, once each, of the cookies that must go and whose name
// can be written into a header.
func doomed(cookieLines []string, gone func(string) bool) []string {
	var names []string
	seen := make(map[string]bool)
	n := 0
	for _, line := range cookieLines {
		consent.EachCookie(line, func(_, name, _ string) bool {
			if n++; n > consent.MaxCookies {
				return false
			}
			if seen[name] || !safeName(name) {
				return true
			}
			seen[name] = true
			if gone(name) {
				names = append(names, name)
			}
			return true
		})
	}
	return names
}

// safeName reports whether a cookie name can be repeated in a Set-Cookie field
// without being read as something else: cookie-octets (RFC 6265bis, section
// 4.1.1) without "=". That is more than the grammar allows for names and less than
// browsers store. It must also leave room for other deletions.
func safeName(name string) bool {
	for _, b := range []byte(name) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`",;\=`, b) >= 0 {
			return false
		}
	}
	return name != "" && len(name) <= 256
}

// targets returns the places to delete at, in tiers: the likeliest first.
func targets(s site, page string) [][]target {
	domains := cookieDomains(s.name)
	top := places("/", domains[:min(len(domains), 2)])
	other := places("/", domains[len(top):])
	var deep [][]target
	for _, path := range directories(page) {
		deep = append(deep, places(path, domains))
	}
	if !s.secure {
		return append([][]target{top, other}, deep...)
	}
	tiers := append([][]target{top, other, partitioned(top)}, deep...)
	tiers = append(tiers, partitioned(other))
	for _, ts := range deep {
		tiers = append(tiers, partitioned(ts))
	}
	return tiers
}

// places returns the targets for one path on each of the domains.
func places(path string, domains []string) []target {
	out := make([]target, len(domains))
	for i, d := range domains {
		out[i] = target{domain: d, path: path}
	}
	return out
}

func partitioned(ts []target) []target {
	out := make([]target, len(ts))
	for i, t := range ts {
		t.partitioned = true
		out[i] = t
	}
	return out
}

// cookieDomains returns the domains a cookie of the host can be stored for: the
// registrable domain first, then "" (the host alone), then the host and its
// parents below the registrable domain. Addresses and names without a registrable
// domain, such as "localhost", have no other than "".
func cookieDomains(host string) []string {
	if !domainName(host) {
		return []string{""}
	}
	registrable, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return []string{""}
	}
	domains := []string{registrable, ""}
	for d := host; d != registrable; {
		domains = append(domains, d)
		_, d, _ = strings.Cut(d, ".")
	}
	return domains
}

// domainName reports whether a host is a name that can be written into a Domain
// attribute, and not an IP address, whose last label begins with a digit.
func domainName(host string) bool {
	for _, b := range []byte(host) {
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_' || b == '.') {
			return false
		}
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && (last[0] < '0' || last[0] > '9')
}

// directories returns the directories above a page, without "/": first as scripts
// set it by default, the nearest before those above it; then with a final "/".
func directories(page string) []string {
	page = cutAny(page, "?#;") // a ";" would end an attribute of the cookie
	var ends []int
	for i := 1; i < len(page) && len(ends) < maxDirectories; i++ {
		if page[i] == '/' && page[i-1] != '/' {
			ends = append(ends, i)
		}
	}
	slices.Reverse(ends)
	var out []string
	for _, i := range ends {
		out = append(out, page[:i])
	}
	for _, i := range ends {
		out = append(out, page[:i+1])
	}
	return out
}

// deletion returns the Set-Cookie value that deletes one cookie at one place. It
// reports false if no cookie of that name can be there: browsers reject what
// breaks the promise of a name's prefix, a deletion too (RFC 6265bis, section 5.4;
// "__Http-" asks for HttpOnly).
func deletion(name string, t target, secure bool) (string, bool) {
	hostHTTP := hasPrefixFold(name, "__Host-Http-")
	host := hasPrefixFold(name, "__Host-")
	http := hostHTTP || hasPrefixFold(name, "__Http-")
	needSecure := host || http || hasPrefixFold(name, "__Secure-")
	if needSecure && !secure || host && (t.domain != "" || t.path != "/") {
		return "", false
	}
	var b strings.Builder
	b.WriteString(name)
	b.WriteString("=; Path=")
	b.WriteString(t.path)
	if t.domain != "" {
		b.WriteString("; Domain=")
		b.WriteString(t.domain)
	}
	b.WriteString("; Max-Age=0")
	if http {
		b.WriteString("; HttpOnly")
	}
	if needSecure || t.partitioned {
		b.WriteString("; Secure")
	}
	if t.partitioned {
		b.WriteString("; Partitioned")
	}
	return b.String(), true
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
