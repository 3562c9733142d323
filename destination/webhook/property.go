package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/filter"
)

// maxValue bounds the value of a delivery property, in bytes: Azure's limit.
const maxValue = 4096

// Property is one delivery property: a header that the subscriber asked for.
type Property struct {
	// Name of the header; it goes out in this casing where HTTP/1.1 is spoken.
	Name string
	// Value of a static property. One that cannot stand in a header is left out.
	Value string
	// Secret says that Value must not be shown to people.
	Secret bool
	// Field, if not empty, makes the property dynamic: it names the field of the
	// event that holds the value, in the words of filters. The header is left
	// out when the event holds no string, number or boolean there, or one that
	// cannot stand in a header.
	Field string
}

// properties are the delivery properties of one target.
type properties struct {
	// fixed holds the static ones.
	fixed http.Header
	// names[i] is the header that takes the i-th value of fields.
	names  []string
	fields *filter.Fields
}

// newProperties sorts properties into static and dynamic ones. Names were
// validated when the subscription was written; they are looked at again because
// a header of ours that a subscriber can set would let it speak for the server.
// bearer says that Authorization belongs to the server, too.
func newProperties(list []Property, bearer bool) (properties, error) {
	var (
		p    properties
		keys []string
	)
	seen := make(map[string]bool, len(list))
	for _, x := range list {
		name := strings.ToLower(x.Name)
		switch {
		case !httpguts.ValidHeaderFieldName(x.Name):
			return properties{}, fmt.Errorf("delivery property %q: %w", x.Name, errName)
		case reserved(name) || bearer && name == "authorization":
			return properties{}, fmt.Errorf("delivery property %q: %w", x.Name, errReserved)
		case seen[name]:
			return properties{}, fmt.Errorf("delivery property %q: %w", x.Name, errTwice)
		}
		seen[name] = true
		if x.Field != "" {
			p.names, keys = append(p.names, x.Name), append(keys, x.Field)
			continue
		}
		if validValue(x.Value) {
			if p.fixed == nil {
				p.fixed = make(http.Header)
			}
			p.fixed[x.Name] = []string{x.Value}
		}
	}
	if len(keys) == 0 {
		return p, nil
	}
	var err error
	if p.fields, err = filter.CompileFields(keys); err != nil {
		return properties{}, fmt.Errorf("delivery properties: %w", err)
	}
	return p, nil
}

var (
	errName     = errors.New("not a possible name of a header")
	errReserved = errors.New("the name is reserved")
	errTwice    = errors.New("the name occurs twice")
)

// reserved reports whether a header, in lower case, is the server's own or
// decides how HTTP reads the request.
func reserved(name string) bool {
	if strings.HasPrefix(name, "aeg-") || strings.HasPrefix(name, "proxy-") {
		return true
	}
	switch name {
	case "host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive",
		"upgrade", "te", "trailer", "expect", "accept-encoding", "origin", "webhook-request-origin":
		return true
	}
	return false
}

// validValue reports whether v can be sent as it is. Anything else is left out:
// what a publisher wrote into an event must not become a header, or a request,
// of its own.
func validValue(v string) bool {
	return len(v) <= maxValue && httpguts.ValidHeaderFieldValue(v)
}

// dynamic reports whether there are values that come from the event.
func (p *properties) dynamic() bool { return len(p.names) > 0 }

// onStack is the number of delivery properties that Azure permits: that many
// values need no memory of their own.
const onStack = 10

// add sets the dynamic properties of e.
func (p *properties) add(h http.Header, e *event.Event) {
	var values [onStack]filter.Value
	for i, v := range p.fields.Values(e.JSON, values[:0]) {
		if v.OK && validValue(v.Text) {
			h[p.names[i]] = []string{v.Text}
		}
	}
}

// group returns a text that is the same for exactly those events that get the
// same dynamic properties.
func (p *properties) group(e *event.Event) string {
	var (
		values [onStack]filter.Value
		text   [256]byte
	)
	key := text[:0]
	for _, v := range p.fields.Values(e.JSON, values[:0]) {
		if !v.OK || !validValue(v.Text) {
			key = append(key, '-')
			continue
		}
		key = strconv.AppendInt(key, int64(len(v.Text)), 10)
		key = append(append(key, ':'), v.Text...)
	}
	return string(key)
}
