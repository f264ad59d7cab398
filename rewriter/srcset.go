package rewriter

import "github.com/consentgate/consentgate/rewriter/internal/scan"

// nextCandidate cuts the next URL off a srcset value (HTML standard, section
// 4.8.4.2.1) and returns what follows it; url is empty at the end.
func nextCandidate(s []byte) (url, rest []byte) {
	for len(s) > 0 && (scan.IsSpace(s[0]) || s[0] == ',') {
		s = s[1:]
	}
	i := 0
	for i < len(s) && !scan.IsSpace(s[i]) {
		i++
	}
	url, s = s[:i], s[i:]
	if i > 0 && url[i-1] == ',' {
		for len(url) > 0 && url[len(url)-1] == ',' {
			url = url[:len(url)-1]
		}
		return url, s
	}
	depth := 0
	for i = 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth = 1 // parentheses do not nest in a descriptor
		case c == ')':
			depth = 0
		case c == ',' && depth == 0:
			return url, s[i+1:]
		}
	}
	return url, nil
}

// refreshURL returns the URL of a meta refresh's content (HTML standard, section
// 4.2.5.3, shared declarative refresh steps); ok is false if it names none.
func refreshURL(s []byte) (url []byte, ok bool) {
	skip := func() {
		for len(s) > 0 && scan.IsSpace(s[0]) {
			s = s[1:]
		}
	}
	skip()
	digits := 0
	for len(s) > 0 && ('0' <= s[0] && s[0] <= '9' || s[0] == '.') {
		s = s[1:]
		digits++
	}
	if digits == 0 || len(s) == 0 || s[0] != ';' && s[0] != ',' && !scan.IsSpace(s[0]) {
		return nil, false
	}
	skip()
	if len(s) > 0 && (s[0] == ';' || s[0] == ',') {
		s = s[1:]
	}
	skip()
	if len(s) == 0 {
		return nil, false
	}
	if scan.HasPrefixFold(s, "url") {
		whole := s
		s = s[3:]
		skip()
		if len(s) > 0 && s[0] == '=' {
			s = s[1:]
			skip()
		} else {
			s = whole
		}
	}
	if len(s) > 0 && (s[0] == '"' || s[0] == '\'') {
		q := s[0]
		s = s[1:]
		for i, c := range s {
			if c == q {
				return s[:i], true
			}
		}
	}
	return s, true
}
