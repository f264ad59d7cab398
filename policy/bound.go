package policy

import (
	"strings"

	"github.com/consentgate/consentgate/consent"
)

// A Bound is a policy joined with the state of one visitor on one page. It is
// small and passed by value; the zero Bound may not be used.
type Bound struct {
	p       *Policy
	granted consent.Set
	host    string // the page's own host
	site    string // its registrable domain, "" if it has none
}

// A Location is the parsed address of a resource, as the URL standard's parser
// leaves it: Host is lower-case ASCII without port and trailing dot, an IPv6
// address in brackets; Path begins with "/"; Query is without "?". The slices
// need to stay valid for the call only.
type Location struct {
	Scheme, Host, Path, Query []byte
}

// Bind joins the policy with a visitor's state. host is the page's own host:
// lower case, no port. It is not needed for cookies; without it, every resource is
// a third party's: see At.
func (p *Policy) Bind(s consent.State, host string) Bound {
	b := Bound{p: p, granted: s.Granted&^p.fixed | p.fixed}
	if host == "" {
		return b
	}
	return b.At(host)
}

// At returns b for a page on host: lower case, no port.
func (b Bound) At(host string) Bound {
	host = strings.TrimSuffix(host, ".")
	b.host, b.site = unbracket(host), siteOf(host)
	return b
}

func unbracket(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// Policy returns the policy the Bound was made from.
func (b Bound) Policy() *Policy { return b.p }

// Undecided returns the Bound of a visitor of the same page who has chosen
// nothing: no other holds back more.
func (b Bound) Undecided() Bound {
	b.granted = b.p.fixed
	return b
}

// Depends reports whether a decision of b would be another one for a visitor of
// another state.
func (b Bound) Depends(d Decision) bool {
	switch d.Reason {
	case NotGranted:
		return true
	case Granted:
		return !b.p.fixed.Has(d.Category)
	}
	return false
}

// Granted returns the categories in force, those that are always on included.
func (b Bound) Granted() consent.Set { return b.granted }

// Unrestricted reports whether nothing could be blocked: no resource and no
// cookie that a rule names, and none that no rule names.
func (b Bound) Unrestricted() bool { return !b.p.closed && b.everything() }

// everything reports whether all categories are granted that anything waits for.
func (b Bound) everything() bool { return b.p.watched.Without(b.granted) == 0 }

// Variant returns a short digest of the policy and the categories in force. It
// names the one body a URL has for this state: letters and digits only.
func (b Bound) Variant() string {
	// FNV-1a, 64 bit: the variant tells bodies of one site apart, it protects nothing.
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := 0; i < len(b.p.hash); i++ {
		h = (h ^ uint64(b.p.hash[i])) * prime
	}
	for g := uint64(b.granted); g != 0; g >>= 8 {
		h = (h ^ g&0xff) * prime
	}
	const digits = "0123456789abcdefghijklmnopqrstuv"
	var out [13]byte
	for i := range out {
		out[i] = digits[h&31]
		h >>= 5
	}
	return string(out[:])
}

// Resource decides on a resource by its address. The page's own host is exempt
// from rules of the catalog that name hosts, but not from those for any host,
// such as a self-hosted copy of an analytics script.
func (b Bound) Resource(k Kind, loc Location) Decision {
	own := len(loc.Host) > 0 && b.host != "" && sameHost(loc.Host, b.host)
	f := b.p.index.find(&loc, own)
	switch {
	case f.rule != nil:
		return b.decide(f.rule.vendor)
	case f.vendor != nil:
		return b.decide(f.vendor)
	case f.shared != nil:
		return b.decide(f.shared)
	case f.site:
		return Decision{Action: Allow, Reason: FirstParty, Category: -1}
	}
	if k == Hint && len(loc.Path) <= 1 {
		if v := b.p.index.strictest(loc.Host); v != nil {
			return b.decide(v)
		}
	}
	if b.sameSite(loc.Host) {
		return Decision{Action: Allow, Reason: FirstParty, Category: -1}
	}
	return Decision{Action: b.p.unknown, Reason: Unclassified, Category: -1}
}

func sameHost(host []byte, page string) bool {
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return string(host) == page
}

func (b Bound) sameSite(host []byte) bool {
	n := len(host) - len(b.site)
	if b.site == "" || n < 0 || string(host[n:]) != b.site {
		return false
	}
	return n == 0 || host[n-1] == '.'
}

// decide applies the visitor's grants to a vendor.
func (b Bound) decide(v *Vendor) Decision {
	d := Decision{Category: v.Category, Vendor: v}
	switch {
	case v.action == alwaysAllow:
		d.Action, d.Reason = Allow, Overridden
	case v.action == alwaysBlock:
		d.Reason = Overridden
	case b.granted.Has(v.Category):
		d.Action, d.Reason = Allow, Granted
	default:
		d.Reason = NotGranted
	}
	return d
}

// Inline decides on the code of an inline script, of which only the beginning
// need be given. A Decision that blocks names the vendor the code would load.
// Code that only calls vendors which are not granted may run once their stubs
// are there: these vendors are appended to calls, and the decision is to allow.
func (b Bound) Inline(code []byte, calls []*Vendor) (Decision, []*Vendor) {
	blocked := func(v *Vendor) bool { return b.decide(v).Action == Block }
	loader, calls := b.p.inline.match(code, blocked, calls)
	if loader != nil {
		return b.decide(loader), calls
	}
	return Decision{Action: Allow, Reason: FirstParty, Category: -1}, calls
}

// RequestCookie decides whether a cookie the browser sent may go to the upstream.
func (b Bound) RequestCookie(name string) Decision { return b.cookie(name) }

// SetCookie decides whether the upstream may set a cookie.
func (b Bound) SetCookie(name string) Decision { return b.cookie(name) }

// cookie decides by name alone: whoever sets a vendor's cookie, it is the vendor's.
func (b Bound) cookie(name string) Decision {
	r := b.p.findCookie(name)
	if r == nil {
		d := Decision{Action: b.p.unknown, Reason: Unclassified, Category: -1}
		// F3: browsers store and send cookies without a name. Nothing can tell
		// what such a cookie is for, and every server reads it differently.
		if name == "" && !b.everything() {
			d.Action = Block
		}
		return d
	}
	d := Decision{Category: r.category, Vendor: r.vendor}
	switch {
	case r.action == alwaysAllow:
		d.Action, d.Reason = Allow, r.reason
	case r.action == alwaysBlock:
		d.Reason = Overridden
	case b.granted.Has(r.category):
		d.Action, d.Reason = Allow, Granted
	default:
		d.Reason = NotGranted
	}
	return d
}
