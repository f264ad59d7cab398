package policy

import (
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// A hostPattern is the host of an address pattern.
type hostPattern struct {
	any   bool // "*"
	below bool // "*.host"
	label *labelMatch
	host  string // without the part that has the "*"
}

// literal is the number of characters the pattern fixes.
func (h *hostPattern) literal() int {
	n := len(h.host)
	if h.label != nil {
		n += len(h.label.begin) + len(h.label.end)
	}
	return n
}

// hostPattern reads the host of an address pattern.
func (c *compiler) hostPattern(t text, own bool) (hostPattern, bool) {
	if t.s == "*" {
		return hostPattern{any: true}, true
	}
	star := strings.IndexByte(t.s, '*')
	if star < 0 {
		h, ok := c.host(t, own)
		return hostPattern{host: h}, ok
	}
	label, rest, _ := strings.Cut(t.s, ".")
	if star >= len(label) || strings.Count(t.s, "*") > 1 {
		c.add(t.at, `write "*", "*.host" or one "*" inside the first label`, "host %s has a \"*\" where none may be", quote(t.s))
		return hostPattern{}, false
	}
	at := t
	at.s = rest
	h, ok := c.host(at, own)
	if label == "*" {
		return hostPattern{below: true, host: h}, ok
	}
	begin, end, _ := strings.Cut(strings.ToLower(label), "*")
	return hostPattern{label: &labelMatch{begin, end}, host: h}, ok
}

// host reads a plain host.
func (c *compiler) host(t text, own bool) (string, bool) {
	h, err := normalizeHost(t.s)
	if err != nil {
		c.add(t.at, "write the host alone, as in www.example.com", "host %s %s", quote(t.s), err)
		return "", false
	}
	if suffix, icann := publicsuffix.PublicSuffix(h); own && icann && suffix == h {
		c.add(t.at, "name the host or domain of the vendor", "host %s is a whole top-level domain", quote(t.s))
		return "", false
	}
	return h, true
}

// draftRule reads an address pattern of a vendor.
func (c *compiler) draftRule(d *draft, e *patternEntry, own bool) {
	if e.host.missing() {
		c.add(e.at, `add a host; "*" stands for any`, "an address pattern without host")
		return
	}
	if !e.host.set || e.path.bad {
		return
	}
	h, ok := c.hostPattern(e.host, own)
	if !ok {
		return
	}
	path := "/"
	if e.path.set {
		path = e.path.s
	}
	m, err := compilePath(path)
	if err != nil {
		c.add(e.path.at, `write a path such as /js/tag.js, in which "*" stands for any characters, or RE2 with brackets`, "path %s %s", quote(path), err)
		return
	}
	if h.any && len(m.literal()) < 2 {
		at := e.at
		if e.path.set {
			at = e.path.at
		}
		c.add(at, "begin the path with what is certain, as in /matomo.js", "a pattern for any host matches nearly everything")
		return
	}
	m.word = h.any && m.re == nil
	r := &ruleDraft{pattern: h, rule: urlRule{own: own, label: h.label, path: m, weight: h.literal() + len(strings.ReplaceAll(path, "*", ""))}}
	for _, q := range e.query {
		re, err := regexp.Compile(q.pattern.s)
		if err != nil {
			c.add(q.pattern.at, "see github.com/google/re2/wiki/Syntax", "pattern %s of query parameter %s is not a regular expression (RE2)", quote(q.pattern.s), quote(q.name))
			continue
		}
		literal, _ := re.LiteralPrefix()
		r.rule.query = append(r.rule.query, queryMatch{q.name, re})
		r.rule.weight += len(q.name) + 1 + len(literal)
	}
	c.note("url", d.ID, e.host.s, path)
	for _, q := range e.query {
		c.note("query", q.name, q.pattern.s)
	}
	d.rules = append(d.rules, r)
}

// addRules puts the vendor's address patterns into the index.
func (c *compiler) addRules(d *draft) {
	x := &c.p.index
	for _, r := range d.rules {
		r.rule.vendor = d.Vendor
		switch h := r.pattern; {
		case h.any:
			x.addAnyHost(&r.rule)
		case h.below:
			e := x.entry(h.host)
			e.below = append(e.below, &r.rule)
		case h.label != nil:
			e := x.entry(h.host)
			e.starred = append(e.starred, &r.rule)
		default:
			e := x.entry(h.host)
			e.exact = append(e.exact, &r.rule)
		}
	}
}

// addHosts puts the vendor's own hosts into the index. A host that a policy file
// gives to a vendor is no longer the catalog's.
func (c *compiler) addHosts(d *draft) {
	for _, h := range d.hosts {
		c.p.index.entry(h).vendor = d.Vendor
		c.note("host", d.ID, h)
	}
	if d.facts == nil {
		return
	}
	for _, h := range d.facts.Hosts {
		if _, taken := c.claimed[h]; !taken {
			c.p.index.entry(h).vendor = d.Vendor
			c.note("host", d.ID, h)
		}
	}
}

// addSharedHosts decides who stands for a host that several products share when
// the path does not tell which of them is meant: the strictest of all products
// of the owner. Where all the vendors that name the host are never touched, as
// with a public file network, the host is not either.
func (c *compiler) addSharedHosts() {
	listed := map[string][]*draft{}
	var hosts []string
	for _, d := range c.order {
		if d.facts == nil {
			continue
		}
		for _, h := range d.facts.SharedHosts {
			if listed[h] == nil {
				hosts = append(hosts, h)
			}
			listed[h] = append(listed[h], d)
		}
	}
	for _, h := range hosts {
		if _, taken := c.claimed[h]; taken {
			continue
		}
		v := c.strictestOwner(listed[h])
		c.p.index.entry(h).shared = v.Vendor
		c.note("shared", h, v.ID)
	}
}

// strictestOwner picks among all catalog vendors of the owner; those that name
// the host come first, then those that stand first in the catalog.
func (c *compiler) strictestOwner(listed []*draft) *draft {
	best, harmless := listed[0], true
	for _, d := range listed {
		harmless = harmless && d.facts.DefaultAction == "allow"
		if d.rank > best.rank {
			best = d
		}
	}
	if harmless {
		return best
	}
	for _, d := range c.order {
		if d.facts != nil && d.Owner == listed[0].Owner && d.rank > best.rank {
			best = d
		}
	}
	return best
}

// applySite records further hosts of the site itself.
func (c *compiler) applySite(f *file) {
	for _, t := range f.siteHosts {
		if h, ok := c.host(t, true); ok {
			c.p.index.entry(h).site = true
			c.note("site", h)
		}
	}
}
