package rewriter

import (
	"strings"
	"time"
)

// maxAttribute is the length from which on browsers ignore a cookie attribute's
// value (RFC 6265bis, section 5.6).
const maxAttribute = 1024

// deletesCookie reports whether the attributes of a Set-Cookie line make
// browsers drop the cookie at once: Max-Age of zero or less, or without a valid
// Max-Age an Expires before now. Of several the last valid one counts (RFC
// 6265bis, sections 5.6.1, 5.6.2 and 5.7).
func deletesCookie(attributes string, now time.Time) bool {
	hasAge, ageGone, dateGone := false, false, false
	for attributes != "" {
		var attribute string
		attribute, attributes, _ = strings.Cut(attributes, ";")
		name, value, _ := strings.Cut(attribute, "=")
		name, value = headerTrim(name), headerTrim(value)
		if len(value) > maxAttribute {
			continue
		}
		switch {
		case headerFold(name, "Max-Age"):
			if gone, ok := maxAge(value); ok {
				hasAge, ageGone = true, gone
			}
		case headerFold(name, "Expires"):
			if t, ok := cookieDate(value); ok {
				dateGone = t.Before(now)
			}
		}
	}
	if hasAge {
		return ageGone
	}
	return dateGone
}

// maxAge reports whether a Max-Age value is zero or less; ok is false for a
// value browsers ignore.
func maxAge(value string) (gone, ok bool) {
	digits, negative := strings.CutPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false, false
	}
	return negative || strings.Trim(digits, "0") == "", true
}

// cookieDate reads a date as browsers do (RFC 6265bis, section 5.1.1): time,
// day, month and year in any order, whatever stands between them.
func cookieDate(s string) (t time.Time, ok bool) {
	var hms [3]int
	var day, month, year int
	var hasTime, hasDay, hasMonth, hasYear bool
	for token := range strings.FieldsFuncSeq(s, dateDelimiter) {
		switch {
		case !hasTime && dateTime(token, &hms):
			hasTime = true
		case !hasDay && dateNumber(token, 1, 2, &day):
			hasDay = true
		case !hasMonth && dateMonth(token, &month):
			hasMonth = true
		case !hasYear && dateNumber(token, 2, 4, &year):
			hasYear = true
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

// dateNumber reads a token that begins with least to most digits, followed by
// anything but one more digit.
func dateNumber(token string, least, most int, n *int) bool {
	v, digits := 0, 0
	for digits < len(token) && '0' <= token[digits] && token[digits] <= '9' {
		if digits++; digits > most {
			return false
		}
		v = v*10 + int(token[digits-1]-'0')
	}
	if digits < least {
		return false
	}
	*n = v
	return true
}

// dateTime reads "h:m:s", each of one or two digits.
func dateTime(token string, hms *[3]int) bool {
	var v [3]int
	for i := range v {
		part := token
		if i < 2 {
			var ok bool
			if part, token, ok = strings.Cut(token, ":"); !ok || len(strings.Trim(part, "0123456789")) > 0 {
				return false
			}
		}
		if !dateNumber(part, 1, 2, &v[i]) {
			return false
		}
	}
	*hms = v
	return true
}

func dateMonth(token string, month *int) bool {
	if len(token) < 3 {
		return false
	}
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	i := strings.Index(names, strings.ToLower(token[:3]))
	if i < 0 || i%3 != 0 {
		return false
	}
	*month = i/3 + 1
	return true
}
