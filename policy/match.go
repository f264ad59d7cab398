package policy

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// A urlRule names the vendor of addresses with a certain host, path and query.
type urlRule struct {
	vendor *Vendor
	own    bool        // from the policy file: counts on the page's own host as well
	label  *labelMatch // of a "*" inside the first label, else nil
	path   pathMatch
	query  []queryMatch
	weight int // literal characters; the heaviest matching rule wins
}

func (r *urlRule) matches(loc *Location, label []byte) bool {
	if r.label != nil && !r.label.matches(label) {
		return false
	}
	return r.path.matches(loc.Path) && r.matchesQuery(loc.Query)
}

func (r *urlRule) matchesQuery(query []byte) bool {
	for i := range r.query {
		v, ok := parameter(query, r.query[i].name)
		if !ok || !r.query[i].re.Match(v) {
			return false
		}
	}
	return true
}

type queryMatch struct {
	name string
	re   *regexp.Regexp
}

// parameter returns the raw value of the first parameter of that name. Nothing
// is decoded: an oddly spelled address falls to the stricter rule of its host.
func parameter(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if len(pair) >= len(name) && string(pair[:len(name)]) == name {
			if len(pair) == len(name) {
				return nil, true
			}
			if pair[len(name)] == '=' {
				return pair[len(name)+1:], true
			}
		}
	}
	return nil, false
}

// A labelMatch matches the first label of a host: begin, any run of
// characters, end.
type labelMatch struct{ begin, end string }

func (m *labelMatch) matches(label []byte) bool {
	return len(label) >= len(m.begin)+len(m.end) &&
		string(label[:len(m.begin)]) == m.begin && string(label[len(label)-len(m.end):]) == m.end
}

// A pathMatch matches how a path begins.
type pathMatch struct {
	literals [][]byte       // in order, any run of characters between them
	re       *regexp.Regexp // instead of the literals after the first, which it must begin with
	word     bool           // what follows the last literal must not continue its word
}

var (
	errPathStart = errors.New(`does not begin with "/"`)
	errPathRegex = errors.New("is not a regular expression (RE2)")
)

// compilePath reads a path as the catalog writes it: a prefix in which "*"
// stands for any run of characters, or RE2 if it holds brackets.
func compilePath(path string) (pathMatch, error) {
	if !strings.HasPrefix(path, "/") {
		return pathMatch{}, errPathStart
	}
	if i := strings.IndexAny(path, "[(\\"); i >= 0 {
		free, err := regexp.Compile(path)
		if err != nil {
			return pathMatch{}, errPathRegex
		}
		anchored, err := regexp.Compile("^(?:" + path + ")")
		if err != nil {
			return pathMatch{}, errPathRegex
		}
		literal, _ := free.LiteralPrefix() // an anchored expression tells none
		return pathMatch{literals: [][]byte{[]byte(literal)}, re: anchored}, nil
	}
	var m pathMatch
	for i, s := range strings.Split(path, "*") {
		if s != "" || i == 0 {
			m.literals = append(m.literals, []byte(s))
		}
	}
	return m, nil
}

func (m *pathMatch) literal() []byte { return m.literals[0] }

func (m *pathMatch) matches(path []byte) bool {
	if !bytes.HasPrefix(path, m.literals[0]) {
		return false
	}
	if m.re != nil {
		return m.re.Match(path)
	}
	rest := path[len(m.literals[0]):]
	last := m.literals[0]
	for _, l := range m.literals[1:] {
		i := bytes.Index(rest, l)
		if i < 0 {
			return false
		}
		rest, last = rest[i+len(l):], l
	}
	return !m.word || len(rest) == 0 || !isWordByte(last[len(last)-1]) || !isWordByte(rest[0])
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// A hostEntry is what is known of one host and of everything below it.
type hostEntry struct {
	exact   []*urlRule // this very host
	below   []*urlRule // "*.host": the host and everything below it
	starred []*urlRule // "a*b.host": hosts one label below
	vendor  *Vendor    // whose host it is, nil if nobody's or shared
	shared  *Vendor    // who decides on a shared host if the path does not tell the product
	site    bool       // the site's own, by the policy file
}

// A hostIndex finds the rules for a host on label borders. It is immutable once
// sealed.
type hostIndex struct {
	hosts map[string]*hostEntry

	// known has a bit for each hash of a host in hosts, so that most other hosts
	// need no look-up.
	known [1 << (knownBits - 6)]uint64

	// Rules for any host, by the character after the "/" their path begins with:
	// rooted only at the start of a path, nested at any "/" of it, so that a copy
	// of the vendor's file in a subfolder of the site is found.
	rooted [256][]*urlRule
	nested [256][]*urlRule

	// nestedPairs has a bit for each two characters, the first in the lower half,
	// that may follow the "/" where a rule of nested matches.
	nestedPairs [1 << 10]uint64
}

const knownBits = 14

func hostHash(host []byte) uint32 {
	h := uint32(len(host))
	for _, c := range host[:min(len(host), 6)] {
		h = h*31 + uint32(c)
	}
	return h * 0x9E3779B1 >> (32 - knownBits)
}

func (x *hostIndex) entry(host string) *hostEntry {
	e := x.hosts[host]
	if e == nil {
		e = new(hostEntry)
		x.hosts[host] = e
		h := hostHash([]byte(host))
		x.known[h>>6] |= 1 << (h & 63)
	}
	return e
}

// get returns what is known of a host, nil if nothing is.
func (x *hostIndex) get(host []byte) *hostEntry {
	if h := hostHash(host); x.known[h>>6]&(1<<(h&63)) == 0 {
		return nil
	}
	return x.hosts[string(host)]
}

func (x *hostIndex) addAnyHost(r *urlRule) {
	l := r.path.literal()
	if bytes.HasPrefix(l, []byte("/cdn-cgi/")) {
		x.rooted[l[1]] = append(x.rooted[l[1]], r)
		return
	}
	x.nested[l[1]] = append(x.nested[l[1]], r)
	for c := range 256 {
		if len(l) < 3 || l[2] == byte(c) {
			pair := uint(l[1]) | uint(c)<<8
			x.nestedPairs[pair>>6] |= 1 << (pair & 63)
		}
	}
}

// seal orders all rules so that the first match of a list is its best.
func (x *hostIndex) seal() {
	for _, e := range x.hosts {
		for _, list := range [][]*urlRule{e.exact, e.below, e.starred} {
			slices.SortStableFunc(list, compareRules)
		}
	}
	for c := range x.nested {
		slices.SortStableFunc(x.nested[c], compareRules)
		slices.SortStableFunc(x.rooted[c], compareRules)
	}
}

// compareRules puts the better rule first: the longer one, then the policy
// file's, then the stricter one.
func compareRules(a, b *urlRule) int {
	own := func(r *urlRule) int {
		if r.own {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(own(b), own(a)), cmp.Compare(b.vendor.rank, a.vendor.rank))
}

// A found is what the index knows of one address.
type found struct {
	rule   *urlRule
	vendor *Vendor // by host
	shared *Vendor
	site   bool // the host is the site's own
}

// find walks the host from its longest form to its last label. From the first
// entry on that is the site's own, rules of the catalog no longer count: they
// speak of vendors' hosts, not of the site that a vendor may run itself.
func (x *hostIndex) find(loc *Location, own bool) found {
	f := found{site: own}
	host := loc.Host
	label := bytes.IndexByte(host, '.') // end of the first label
	for start := 0; ; {
		if e := x.get(host[start:]); e != nil {
			f.site = f.site || e.site
			if start == 0 {
				f.rule = best(f.rule, e.exact, loc, nil, f.site)
			}
			f.rule = best(f.rule, e.below, loc, nil, f.site)
			if start > 0 && start == label+1 {
				f.rule = best(f.rule, e.starred, loc, host[:label], f.site)
			}
			if !f.site {
				f.vendor = first(f.vendor, e.vendor)
				f.shared = first(f.shared, e.shared)
			}
		}
		i := bytes.IndexByte(host[start:], '.')
		if i < 0 {
			break
		}
		start += i + 1
	}
	f.rule = x.findAnyHost(f.rule, loc)
	return f
}

// maxNested is how many bytes of a path are searched for a rule that may begin
// at any "/": trying each of them is quadratic in the worst case, and servers
// refuse longer addresses anyway.
const maxNested = 8 << 10

func (x *hostIndex) findAnyHost(r *urlRule, loc *Location) *urlRule {
	path := loc.Path[:min(len(loc.Path), maxNested)]
	if len(path) > 1 {
		r = best(r, x.rooted[path[1]], loc, nil, false)
	}
	for i := 0; i+1 < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		if i+2 < len(path) {
			if pair := uint(path[i+1]) | uint(path[i+2])<<8; x.nestedPairs[pair>>6]&(1<<(pair&63)) == 0 {
				continue
			}
		}
		below := Location{Path: path[i:], Query: loc.Query}
		r = best(r, x.nested[path[i+1]], &below, nil, false)
	}
	return r
}

func first(a, b *Vendor) *Vendor {
	if a != nil {
		return a
	}
	return b
}

// best returns the better of r and the first match in rules.
func best(r *urlRule, rules []*urlRule, loc *Location, label []byte, ownOnly bool) *urlRule {
	for _, c := range rules {
		if r != nil && compareRules(r, c) <= 0 {
			return r
		}
		if (c.own || !ownOnly) && c.matches(loc, label) {
			return c
		}
	}
	return r
}

// strictest returns, of all vendors with a rule for this host, the one that is
// hardest to be allowed. It decides on a mere connection, which has no path that
// could tell the vendor.
func (x *hostIndex) strictest(host []byte) *Vendor {
	var v *Vendor
	stricter := func(rules []*urlRule, label []byte) {
		for _, r := range rules {
			if (r.label == nil || r.label.matches(label)) && (v == nil || r.vendor.rank > v.rank) {
				v = r.vendor
			}
		}
	}
	label := bytes.IndexByte(host, '.')
	for start := 0; ; {
		if e := x.get(host[start:]); e != nil {
			if start == 0 {
				stricter(e.exact, nil)
			}
			stricter(e.below, nil)
			if start > 0 && start == label+1 {
				stricter(e.starred, host[:label])
			}
		}
		i := bytes.IndexByte(host[start:], '.')
		if i < 0 {
			return v
		}
		start += i + 1
	}
}
