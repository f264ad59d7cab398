package policy

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// Shapes of a stub, as the catalog and the policy file name them.
const (
	shapeQueue  = "queue-function" // a function that queues its arguments
	shapeArray  = "array"          // an array that queues what is pushed
	shapeObject = "object-noop"    // an object whose methods do nothing
	shapeNone   = "none"
)

var stubShapes = []string{shapeQueue, shapeArray, shapeObject, shapeNone}

// identifier is a JavaScript name, as far as vendors use them.
var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}$`)

var (
	errStubShape   = errors.New("has no such shape")
	errStubGlobal  = errors.New("names what is not a JavaScript name")
	errStubMethods = errors.New("has no methods")
)

// Every stub leaves an existing global alone, may run any number of times, and
// carries cg=1 on what it made, so that it can be told from the vendor's own
// object and taken away again.
const (
	stubQueue = `(function(w,n){if(w[n])return;var f=w[n]=function(){f.q.push(arguments)};f.q=[];f.cg=1})(window,NAME);`
	stubInto  = `(function(w,n,q){if(!w[q]){w[q]=[];w[q].cg=1}if(w[n])return;w[n]=function(){w[q].push(arguments)};w[n].cg=1})(window,NAME,QUEUE);`
	stubArray = `(function(w,n){if(!w[n]){w[n]=[];w[n].cg=1}})(window,NAME);`
	// Methods named in SELF hand the object itself back, so that calls chained
	// to them do not fail; those in SUB are objects with methods of their own.
	stubObject = `(function(w,n,m,s,u){if(w[n])return;var o=w[n]={cg:1},v=function(){},i,k;` +
		`for(i=0;i!=m.length;i++)o[m[i]]=v;` +
		`for(i=0;i!=s.length;i++)o[s[i]]=function(){return o};` +
		`for(k in u)for(o[k]=function(){},i=0;i!=u[k].length;i++)o[k][u[k][i]]=v})(window,NAME,METHODS,SELF,SUB);`
)

// selfMethods hand back the object, or one like it, in the vendors' own code.
var selfMethods = []string{"getInstance", "instance"}

// subMethods are members that page code calls methods of.
func subMethods(member string) []string {
	switch member {
	case "people": // Mixpanel
		return []string{"set", "set_once", "unset", "increment", "append", "remove", "union", "track_charge", "clear_charges", "delete_user"}
	case "cmd": // Google Publisher Tag: functions that wait for the library
		return []string{"push"}
	}
	return nil
}

// stubSource writes the JavaScript of a stub; "" for shape "none". The result
// holds no "<" and may stand inside a script element as it is.
func stubSource(shape, global, queue string, methods []string) (string, error) {
	if !slices.Contains(stubShapes, shape) {
		return "", errStubShape
	}
	if shape == shapeNone {
		return "", nil
	}
	for _, name := range append([]string{global}, methods...) {
		if !identifier.MatchString(name) {
			return "", errStubGlobal
		}
	}
	switch {
	case shape == shapeArray:
		return fill(stubArray, "NAME", global), nil
	case shape == shapeQueue && queue == "":
		return fill(stubQueue, "NAME", global), nil
	case shape == shapeQueue:
		if !identifier.MatchString(queue) {
			return "", errStubGlobal
		}
		return fill(stubInto, "NAME", global, "QUEUE", queue), nil
	}
	if len(methods) == 0 {
		return "", errStubMethods
	}
	plain, self, sub := []string{}, []string{}, map[string][]string{}
	for _, m := range methods {
		switch s := subMethods(m); {
		case slices.Contains(selfMethods, m):
			self = append(self, m)
		case s != nil:
			sub[m] = s
		default:
			plain = append(plain, m)
		}
	}
	return fill(stubObject, "NAME", global, "METHODS", plain, "SELF", self, "SUB", sub), nil
}

// fill puts values into a template as JSON, which is JavaScript too.
func fill(template string, pairs ...any) string {
	var repl []string
	for i := 0; i < len(pairs); i += 2 {
		v, _ := json.Marshal(pairs[i+1]) // strings, lists and maps of strings always encode
		repl = append(repl, pairs[i].(string), string(v))
	}
	return strings.NewReplacer(repl...).Replace(template)
}
