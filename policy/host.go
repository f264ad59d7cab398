package policy

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// hostProfile turns a host as people write it into the form browsers send:
// Unicode TR46 as the URL standard uses it, lower case, A-labels.
var hostProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true), idna.StrictDomainName(false), idna.VerifyDNSLength(true))

// Faults of a host. The texts are the "what" of an error line.
var (
	errHostEmpty  = errors.New("is empty")
	errHostScheme = errors.New("carries a scheme")
	errHostPath   = errors.New("carries a path")
	errHostPort   = errors.New("carries a port or user name")
	errHostStar   = errors.New(`has a "*" where none may be`)
	errHostBad    = errors.New("is not a host name")
)

// normalizeHost returns the form in which a host appears in a parsed URL:
// ASCII, lower case, no trailing dot.
func normalizeHost(s string) (string, error) {
	switch {
	case s == "":
		return "", errHostEmpty
	case strings.Contains(s, "://") || strings.HasPrefix(s, "//"):
		return "", errHostScheme
	case strings.ContainsAny(s, "/?#\\"):
		return "", errHostPath
	case strings.Contains(s, "*"):
		return "", errHostStar
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		if a.Is6() {
			return "[" + a.WithZone("").String() + "]", nil
		}
		return a.String(), nil
	}
	if strings.ContainsAny(s, ":@") {
		return "", errHostPort
	}
	h, err := hostProfile.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil || !plainHost(h) {
		return "", errHostBad
	}
	return h, nil
}

// plainHost reports whether h holds only what host names hold in practice:
// letters, digits, "-", "_" and single dots between labels.
func plainHost(h string) bool {
	label := 0
	for i := 0; i < len(h); i++ {
		c := h[i]
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		default:
			return false
		}
	}
	return label > 0
}

// siteOf returns the registrable domain of a host: the part one party owns, as
// the public suffix list has it. It is "" for addresses, for single labels such
// as "localhost" and for public suffixes themselves, where nothing but the very
// same host is the same party.
func siteOf(host string) string {
	if strings.IndexByte(host, '.') < 0 || strings.IndexByte(host, ':') >= 0 || strings.HasSuffix(host, ".") {
		return ""
	}
	suffix, _ := publicsuffix.PublicSuffix(host)
	if len(host) <= len(suffix)+1 {
		return ""
	}
	rest := host[:len(host)-len(suffix)-1]
	return host[strings.LastIndexByte(rest, '.')+1:]
}
