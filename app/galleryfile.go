package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/intertie/intertie/eventgrid"
)

// galleryEntry is one entry of the gallery file.
type galleryEntry struct {
	Name string `json:"name"`
	eventgrid.VerifiedPartner
}

// readGallery reads the gallery file: a YAML list, each entry with a name and the
// members that the API has. An error names the file, the line, the entry and the
// member.
func readGallery(path string) ([]galleryEntry, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--gallery: %w", err)
	}
	entries, err := parseGallery(text)
	if err != nil {
		return nil, fmt.Errorf("--gallery %s: %w", path, err)
	}
	return entries, nil
}

func parseGallery(text []byte) ([]galleryEntry, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, oneLine(err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, oneLine(err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil // empty, or comments only: no partners
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one document")
	}
	root := doc.Content[0]
	if root.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: the file is not a list of entries, each beginning with a hyphen", root.Line)
	}
	var entries []galleryEntry
	names := make(map[string]int) // line by name in lower case
	for i, node := range root.Content {
		e, err := parseGalleryEntry(node, i)
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(e.Name)
		if line, twice := names[key]; twice {
			return nil, fmt.Errorf("line %d: entry %q: name: line %d has an entry of this name already", node.Line, e.Name, line)
		}
		names[key] = node.Line
		entries = append(entries, e)
	}
	return entries, nil
}

// parseGalleryEntry reads and judges the entry of an index.
func parseGalleryEntry(node *yaml.Node, index int) (galleryEntry, error) {
	var e galleryEntry
	err := fill(resolved(node), reflect.ValueOf(&e).Elem(), "")
	what := fmt.Sprintf("entry %d", index+1)
	if e.Name != "" {
		what = fmt.Sprintf("entry %q", e.Name)
	}
	if bad, ok := errors.AsType[*misfit](err); ok {
		return e, fmt.Errorf("line %d: %s: %s", bad.line, what, bad.text)
	}
	// The rest is about what a member says, or that it is missing; the messages
	// begin with its name.
	if e.Name == "" {
		err = errors.New("name is missing")
	} else if _, err = eventgrid.VerifiedPartnerID(e.Name); err == nil {
		err = e.Check()
	}
	if err != nil {
		return e, fmt.Errorf("line %d: %s: %w", node.Line, what, err)
	}
	return e, nil
}

// misfit is something in the file that a member cannot take.
type misfit struct {
	line int
	text string
}

func (m *misfit) Error() string { return m.text }

// fill reads a node into a value of one of the types that entries consist of; a
// member that the service computes is none that can be set.
func fill(node *yaml.Node, into reflect.Value, path string) error {
	bad := func(what string) error {
		return &misfit{node.Line, strings.TrimPrefix(path+" ", " ") + what}
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return fill(node, into.Elem(), path)
	case reflect.Struct:
		if node.Kind != yaml.MappingNode {
			return bad("is not a mapping of members")
		}
		return fillMembers(node, into, path)
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.Tag != "!!bool" || node.Decode(into.Addr().Interface()) != nil {
			return bad("is not true or false")
		}
	default:
		if node.Kind != yaml.ScalarNode || node.Tag != "!!str" {
			return bad("is not a text; put it in quotes if it looks like a number or a date")
		}
		into.SetString(node.Value)
	}
	return nil
}

func fillMembers(node *yaml.Node, into reflect.Value, path string) error {
	members := settable(into)
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], resolved(node.Content[i+1])
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		member, ok := members[key.Value]
		switch {
		case !ok:
			return &misfit{key.Line, fmt.Sprintf("%s is not a member of an entry", at)}
		case seen[key.Value]:
			return &misfit{key.Line, at + " is there twice"}
		}
		seen[key.Value] = true
		if err := fill(value, member, at); err != nil {
			return err
		}
	}
	return nil
}

// settable returns the members of a struct by their names in JSON.
func settable(of reflect.Value) map[string]reflect.Value {
	members := make(map[string]reflect.Value)
	for field := range of.Type().Fields() {
		if field.Anonymous {
			maps.Copy(members, settable(of.FieldByIndex(field.Index)))
			continue
		}
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); field.Tag.Get("arm") != "computed" {
			members[name] = of.FieldByIndex(field.Index)
		}
	}
	return members
}

// resolved follows an alias.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode && node.Alias != nil {
		return node.Alias
	}
	return node
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func oneLine(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) }
