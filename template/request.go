package template

import (
	"fmt"
	"strings"
)

// Request is the body of a request to deploy, validate or preview a template.
type Request struct {
	Location string
	Tags     map[string]string
	Mode     string // Incremental when the request names none
	Template *Template
	// Parameters have the form of a parameter file.
	Parameters map[string]any
	// ResultFormat is what a preview shall show: FullResourcePayloads when the
	// request names none.
	ResultFormat string
}

// The modes of a deployment.
const (
	Incremental = "Incremental"
	Complete    = "Complete"
)

// RequestError says what is wrong with a request, beside its template.
type RequestError struct{ Message string }

func (e *RequestError) Error() string { return e.Message }

func refused(format string, args ...any) error {
	return &RequestError{Message: fmt.Sprintf(format, args...)}
}

// refusedMembers are those that would make the server fetch or do something that
// it does not offer.
var refusedMembers = []struct{ name, why string }{
	{"templateLink", "templates are not fetched from elsewhere; send the template itself as 'template'"},
	{"parametersLink", "parameters are not fetched from elsewhere; send them as 'parameters'"},
	{"onErrorDeployment", "falling back to an earlier deployment is not offered"},
}

// ReadRequest reads the body of a request, which may hold the template as the
// Azure CLI puts it there: as the file is, with comments. The error is an
// [*Error] for the template, a [*RequestError] for anything else.
func ReadRequest(body []byte) (*Request, error) {
	src := string(body)
	root, err := parseJSON(src)
	if err != nil {
		return nil, refused("%s", err)
	}
	properties := root.get("properties")
	if properties == nil || properties.kind != object {
		return nil, refused("The request has no 'properties' with the template to deploy.")
	}
	for _, m := range refusedMembers {
		if n := properties.get(m.name); n != nil && n.kind != null {
			return nil, refused("The property '%s' is not offered: %s.", m.name, m.why)
		}
	}
	r := &Request{Location: root.literal("location"), ResultFormat: properties.get("whatIfSettings").literal("resultFormat")}
	if r.Tags, err = tagsOf(root.get("tags")); err != nil {
		return nil, err
	}
	if r.Mode, err = modeOf(properties.get("mode")); err != nil {
		return nil, err
	}
	if r.Parameters, err = parametersIn(properties.get("parameters")); err != nil {
		return nil, err
	}
	t := properties.get("template")
	switch {
	case t == nil || t.kind == null:
		return nil, refused("The request has no 'template' in its 'properties'.")
	case t.kind == text:
		r.Template, err = Parse([]byte(t.text))
	default:
		r.Template, err = newTemplate(placed(t, src), "")
	}
	return r, err
}

func modeOf(n *node) (string, error) {
	if n == nil || n.kind == null {
		return Incremental, nil
	}
	for _, mode := range []string{Incremental, Complete} {
		if n.kind == text && strings.EqualFold(n.text, mode) {
			return mode, nil
		}
	}
	return "", refused("The deployment mode '%s' is neither Incremental nor Complete.", n.text)
}

func tagsOf(n *node) (map[string]string, error) {
	if n == nil || n.kind == null {
		return nil, nil
	}
	tags := make(map[string]string, len(n.fields))
	for _, f := range n.fields {
		if f.value.kind != text {
			return nil, refused("The value of the tag '%s' must be a string.", f.name)
		}
		tags[f.name] = f.value.text
	}
	if n.kind != object {
		return nil, refused("The tags must be an object.")
	}
	return tags, nil
}

// parametersIn reads parameters as they were sent: whatever looks like an
// expression in them is text. A whole parameter file is understood as well.
func parametersIn(n *node) (map[string]any, error) {
	if n == nil || n.kind == null {
		return nil, nil
	}
	if inner := n.get("parameters"); inner != nil && n.get("$schema") != nil {
		n = inner
	}
	if n.kind != object {
		return nil, refused("The parameters must be an object: {\"name\": {\"value\": …}}.")
	}
	m, _ := n.plain().(map[string]any)
	return m, nil
}

// plain returns the value of a node in which nothing is an expression.
func (n *node) plain() any {
	switch n.kind {
	case boolean:
		return n.truth
	case number:
		return numberValue(n.text)
	case text:
		return n.text
	case array:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.plain()
		}
		return out
	case object:
		out := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			out[f.name] = f.value.plain()
		}
		return out
	}
	return nil
}
