package rewriter

import (
	"net/http"
	"strings"
	"time"
)

// maxAttribute is the length from which on browsers ignore a cookie attribute's
// value (RFC 6265bis, section 5.6).
const maxAttribute = 1024

// deletesCookie reports whether the attributes of a Set-Cookie line make every
// browser drop the cookie at once: Max-Age of zero or less, or without Max-Age an
// Expires before now. Of several RFC 6265bis, section 5.6, takes the last valid
// one, Chromium the last one: all have to agree, and where browsers could read
// one in different ways, it is no deletion. h are the header fields beside it.
func deletesCookie(attributes string, h http.Header, now time.Time) bool {
	var ages, dates, gone int // all of each, and those of the decisive kind that delete
	var expired int
	for attributes != "" {
		var attribute string
		attribute, attributes, _ = strings.Cut(attributes, ";")
		name, value, _ := strings.Cut(attribute, "=")
		name, value = headerTrim(name), headerTrim(value)
		switch {
		case headerFold(name, "Max-Age"):
			ages++
			if len(value) <= maxAttribute && neverAges(value) {
				gone++
			}
		case headerFold(name, "Expires"):
			dates++
			if t, ok := cookieDate(value); ok && len(value) <= maxAttribute && t.Before(now) && beforeAnswer(t, h) {
				expired++
			}
		}
	}
	if ages > 0 {
		return gone == ages
	}
	return dates > 0 && expired == dates
}

// beforeAnswer reports whether t lies before the response was made, as far as
// its Date tells. Chromium takes the difference to its own clock for a fault of
// the site's and moves Expires by it: an old Date makes old cookies last.
func beforeAnswer(t time.Time, h http.Header) bool {
	before := true
	eachHeaderKey(h, "Date", func(key string) {
		for _, line := range h[key] {
			made, err := http.ParseTime(line)
			before = before && err == nil && t.Before(made)
		}
	})
	return before
}

// neverAges reports whether a Max-Age value is zero or less.
func neverAges(value string) bool {
	digits, negative := strings.CutPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return negative || strings.Trim(digits, "0") == ""
}

// cookieDate reads a date (RFC 6265bis, section 5.1.1): time, day, month and year
// in any order, whatever stands between them. Up to the last of the four it takes
// only what the algorithm of the RFC and Chromium's read alike: "29th" is a day to
// one and the year 2029 to the other.
func cookieDate(s string) (t time.Time, ok bool) {
	var hms [3]int
	var day, month, year int
	var hasTime, hasDay, hasMonth, hasYear bool
	for token := range strings.FieldsFuncSeq(s, dateDelimiter) {
		if hasTime && hasDay && hasMonth && hasYear {
			break // what follows, such as a zone, is ignored
		}
		number, isNumber := dateNumber(token)
		switch {
		case isNumber && len(token) <= 2 && !hasDay:
			day, hasDay = number, true
		case isNumber && !hasYear && (len(token) == 2 || len(token) == 4):
			year, hasYear = number, true
		case !hasTime && dateTime(token, &hms):
			hasTime = true
		case !dateLetters(token):
			return t, false
		case !hasMonth:
			month, hasMonth = dateMonth(token)
		}
	}
	switch {
	case !hasTime || !hasDay || !hasMonth || !hasYear:
		return t, false
	case 70 <= year && year <= 99:
		year += 1900
	case year <= 69:
		year += 2000
	}
	if day < 1 || day > 31 || year < 1601 || hms[0] > 23 || hms[1] > 59 || hms[2] > 59 {
		return t, false
	}
	t = time.Date(year, time.Month(month), day, hms[0], hms[1], hms[2], 0, time.UTC)
	return t, t.Day() == day // else there is no such day in the month
}

func dateDelimiter(r rune) bool {
	switch {
	case r == '\t', ' ' <= r && r <= '/', ';' <= r && r <= '@', '[' <= r && r <= '`', '{' <= r && r <= '~':
		return true
	}
	return false
}

// dateNumber reads a token of one to four digits.
func dateNumber(token string) (n int, ok bool) {
	if token == "" || len(token) > 4 {
		return 0, false
	}
	for i := 0; i < len(token); i++ {
		if token[i] < '0' || token[i] > '9' {
			return 0, false
		}
		n = n*10 + int(token[i]-'0')
	}
	return n, true
}

// dateTime reads "h:m:s", each of one or two digits.
func dateTime(token string, hms *[3]int) bool {
	for i := range hms {
		part, rest, more := strings.Cut(token, ":")
		n, ok := dateNumber(part)
		if !ok || len(part) > 2 || more != (i < 2) {
			return false
		}
		hms[i], token = n, rest
	}
	return true
}

func dateLetters(token string) bool {
	for i := 0; i < len(token); i++ {
		if c := headerLowerByte(token[i]); c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

func dateMonth(token string) (month int, ok bool) {
	if len(token) < 3 {
		return 0, false
	}
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	i := strings.Index(names, strings.ToLower(token[:3]))
	return i/3 + 1, i >= 0 && i%3 == 0
}
