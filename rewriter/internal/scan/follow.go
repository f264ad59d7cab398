package scan

import "bytes"

// mayRun reports whether following the link, or submitting the form, that tag
// begins may run a "javascript:" URL. nameEnd is the end of the tag's name. Links
// are the commonest tags of many pages, so no attribute is read here: the scheme's
// ':' follows a 't', unless characters are written as references or a tab or line
// break stands between.
func mayRun(tag []byte, nameEnd int) bool {
	switch name := tag[1:nameEnd]; len(name) {
	case 1:
		if name[0]|0x20 != 'a' {
			return false
		}
	case 4:
		if !EqualFold(name, "area") && !EqualFold(name, "form") {
			return false
		}
	case 6:
		if !EqualFold(name, "button") {
			return false
		}
	default:
		return false
	}
	for rest := tag[nameEnd:]; ; {
		i := bytes.IndexByte(rest, ':')
		if i < 0 {
			break
		}
		if i > 0 {
			if c := rest[i-1]; c|0x20 == 't' || c == ';' || c < ' ' {
				return true
			}
		}
		rest = rest[i+1:]
	}
	for rest := tag[nameEnd:]; ; {
		i := bytes.IndexByte(rest, '&')
		if i < 0 {
			return false
		}
		if rest = rest[i+1:]; len(rest) > 0 && (rest[0] == '#' || rest[0] == 'c') {
			return true // ':' may be "&#58" or "&colon;"
		}
	}
}
