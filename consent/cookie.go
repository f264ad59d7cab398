package consent

import (
	"strconv"
	"strings"
	"time"
)

// MaxCookies is the number of cookies of one request that are examined. A
// request with more of them counts as unreadable: Go's own parser returns no
// cookie at all beyond this number, so an attacker who can plant cookies could
// otherwise make two readers of one request disagree.
const MaxCookies = 3000

// EachCookie calls f for every piece of one Cookie header line, in order, until
// f returns false. Pieces are split as servers and browsers do it (RFC 6265bis,
// section 5.8.3: "; " joins pairs; quotes protect nothing): at every ";" and
// nowhere else. pair is the raw piece, so that joining all pairs with ";" gives
// back the line; empty pieces are reported too. name and value are cut at the
// first "=" and freed of surrounding SP and HTAB, of nothing else: a Unicode
// space before a name makes another name. A piece without "=" is the value of a
// cookie with an empty name (section 5.6). It does not allocate.
func EachCookie(line string, f func(pair, name, value string) bool) {
	for {
		pair, rest, more := strings.Cut(line, ";")
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			name, value = "", pair
		}
		if !f(pair, trimBlank(name), trimBlank(value)) || !more {
			return
		}
		line = rest
	}
}

// trimBlank removes SP and HTAB from both ends.
func trimBlank(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// The value of our cookie is
//
//	1~<policy version>~<unix seconds, base 36>~<ids of granted categories, sorted, joined by ".">
//
// or, where the ids would take more than maxIDs bytes,
//
//	2~<policy version>~<unix seconds, base 36>~<bits, base 36>.<digest of all optional ids, base 36>
//
// where bit i stands for the i-th optional category in the order of the ids.
// Neither form depends on the order of categories in the policy, and both
// consist of cookie-octets only (RFC 6265bis, section 4.1.1). A value counts only
// if it is, byte for byte, what we would have written for what it says.
const (
	formatIDs  = "1"
	formatBits = "2"

	maxIDs     = 512 // bytes of the id list in format 1
	maxValue   = 640 // bytes of a value; the longest we write is 2+32+1+8+1+512
	maxSeconds = 8   // base 36 digits of the time
	latest     = 2821109907455
)

// appendValue appends the cookie value that says c under sc.
func appendValue(dst []byte, sc *Scheme, c Choice) []byte {
	granted := c.Granted & sc.Optional()
	order, n := sc.sorted()
	size := 0
	for _, i := range order[:n] {
		if granted.Has(int(i)) {
			size += len(sc.Categories[i].ID) + 1
		}
	}
	format := formatIDs
	if size > maxIDs {
		format = formatBits
	}
	dst = append(dst, format...)
	dst = append(dst, '~')
	dst = append(dst, sc.Version...)
	dst = append(dst, '~')
	dst = strconv.AppendInt(dst, min(max(c.At.Unix(), 0), latest), 36)
	dst = append(dst, '~')
	if format == formatIDs {
		return sc.appendIDs(dst, granted, order[:n])
	}
	var bits uint64
	for k, i := range order[:n] {
		if granted.Has(int(i)) {
			bits |= 1 << k
		}
	}
	dst = strconv.AppendUint(dst, bits, 36)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, sc.digest(order[:n]), 36)
}

// appendIDs appends the ids of the granted categories, joined by ".".
func (s *Scheme) appendIDs(dst []byte, granted Set, order []uint8) []byte {
	first := true
	for _, i := range order {
		if !granted.Has(int(i)) {
			continue
		}
		if !first {
			dst = append(dst, '.')
		}
		dst = append(dst, s.Categories[i].ID...)
		first = false
	}
	return dst
}

// sorted returns the positions of the n optional categories in the order of
// their ids.
func (s *Scheme) sorted() (order [MaxCategories]uint8, n int) {
	for i := range min(len(s.Categories), MaxCategories) {
		if s.Categories[i].Fixed {
			continue
		}
		k := n
		for ; k > 0 && s.Categories[order[k-1]].ID > s.Categories[i].ID; k-- {
			order[k] = order[k-1]
		}
		order[k] = uint8(i)
		n++
	}
	return order, n
}

// digest is FNV-1a over the ids. It guards against a policy whose categories
// changed while its version did not; it need not resist forgery, since a visitor
// may claim any choice anyway.
func (s *Scheme) digest(order []uint8) uint64 {
	h := uint64(14695981039346656037)
	for _, i := range order {
		for _, b := range []byte(s.Categories[i].ID) {
			h = (h ^ uint64(b)) * 1099511628211
		}
		h *= 1099511628211 // the end of an id, as a zero byte
	}
	return h
}

// parseValue reads a cookie value. It does not judge the age of the choice.
func parseValue(v string, sc *Scheme) (Choice, Problem) {
	if len(v) > maxValue {
		return Choice{}, Malformed
	}
	format, rest, ok1 := strings.Cut(v, "~")
	version, rest, ok2 := strings.Cut(rest, "~")
	seconds, list, ok3 := strings.Cut(rest, "~")
	at, ok4 := parse36(seconds)
	if !ok1 || !ok2 || !ok3 || !ok4 || len(seconds) > maxSeconds {
		return Choice{}, Malformed
	}
	if format != formatIDs && format != formatBits {
		return Choice{}, Malformed
	}
	if version != sc.Version {
		return Choice{}, Outdated
	}
	var granted Set
	var problem Problem
	if format == formatIDs {
		granted, problem = sc.parseIDs(list)
	} else {
		granted, problem = sc.parseBits(list)
	}
	if problem != NoProblem {
		return Choice{}, problem
	}
	c := Choice{Granted: granted, At: time.Unix(int64(at), 0)}
	var buf [maxValue]byte
	if string(appendValue(buf[:0], sc, c)) != v {
		return Choice{}, Malformed
	}
	return c, NoProblem
}

func (s *Scheme) parseIDs(list string) (Set, Problem) {
	var granted Set
	for more := list != ""; more; {
		var id string
		id, list, more = strings.Cut(list, ".")
		i := s.Index(id)
		if i < 0 {
			return 0, Malformed
		}
		granted = granted.With(i)
	}
	return granted, NoProblem
}

func (s *Scheme) parseBits(list string) (Set, Problem) {
	b, d, _ := strings.Cut(list, ".")
	bits, ok1 := parse36(b)
	digest, ok2 := parse36(d)
	if !ok1 || !ok2 {
		return 0, Malformed
	}
	order, n := s.sorted()
	if digest != s.digest(order[:n]) {
		return 0, Outdated
	}
	var granted Set
	for k, i := range order[:n] {
		if bits&(1<<k) != 0 {
			granted = granted.With(int(i))
		}
	}
	return granted, NoProblem
}

// parse36 reads a number in base 36 with lower-case digits. Unlike
// strconv.ParseUint it does not allocate for what it refuses.
func parse36(s string) (uint64, bool) {
	const limit = (1<<64 - 1) / 36
	var n uint64
	for _, b := range []byte(s) {
		var digit uint64
		switch {
		case '0' <= b && b <= '9':
			digit = uint64(b - '0')
		case 'a' <= b && b <= 'z':
			digit = uint64(b-'a') + 10
		default:
			return 0, false
		}
		if n > limit || n*36 > 1<<64-1-digit {
			return 0, false
		}
		n = n*36 + digit
	}
	return n, s != ""
}
