package template

import (
	"errors"
	"fmt"
	"strings"
)

var idFunctions = map[string]function{
	"extensionresourceid": {3, -1, func(b *budget, args []any) (any, error) {
		scope, err := wantText(args[0])
		if err != nil {
			return nil, err
		}
		return b.typedID(strings.TrimRight(scope, "/"), args[1:])
	}},
	"tenantresourceid": {2, -1, func(b *budget, args []any) (any, error) { return b.typedID("", args) }},
}

// typedID builds scope/providers/Namespace/type/name/… of a full type and its names.
func (b *budget) typedID(scope string, args []any) (string, error) {
	texts, err := wantTexts(args)
	if err != nil {
		return "", err
	}
	full, names := texts[0], texts[1:]
	if n := strings.Count(full, "/"); n == 0 || n != len(names) {
		return "", fmt.Errorf("the type '%s' has %d segments behind its namespace, and %d names are given", cut(full), n, len(names))
	}
	size := len(scope) + len("/providers/")
	for _, t := range texts {
		size += len(t) + 1
	}
	if err := b.allot(size); err != nil {
		return "", err
	}
	segments := strings.Split(full, "/")
	var id strings.Builder
	id.WriteString(scope + "/providers/" + segments[0])
	for i, s := range segments[1:] {
		id.WriteString("/" + s + "/" + names[i])
	}
	return id.String(), nil
}

// splitIDArguments separates the scope in front (subscription, group) from the
// type and names of resourceId.
func splitIDArguments(args []any) (scope []string, rest []any, err error) {
	for i, arg := range args {
		s, err := wantText(arg)
		if err != nil {
			return nil, nil, err
		}
		if strings.Contains(s, "/") && strings.Count(s, "/") == len(args)-i-1 {
			return scope, args[i:], nil
		}
		if i == 2 {
			break
		}
		scope = append(scope, s)
	}
	return nil, nil, errors.New("it needs a type such as Microsoft.EventGrid/topics and a name for each segment behind its namespace")
}
