package arm

import (
	"strings"

	"github.com/intertie/intertie/resource"
)

// parsePath reads the path of a request. ARM has a few operations whose path does
// not follow its own form, such as {subscription}/tagNames/{name} and
// {group}/deployments/{name}/operations: of these, the path ends in the first
// segment after the subscription or group, and deeper holds the rest.
func parsePath(s string) (p resource.Path, deeper []string, err error) {
	if p, err = resource.ParsePath(s); err == nil {
		return p, nil, nil
	}
	segments := strings.FieldsFunc(s, func(r rune) bool { return r == '/' })
	const subscription, group = 2, 4 // segments of their ids
	for _, n := range []int{group, subscription} {
		if len(segments) < n+2 || strings.EqualFold(segments[n], "providers") {
			continue
		}
		id, err := resource.ParseID("/" + strings.Join(segments[:n], "/"))
		if err == nil && id.Subscription != "" && id.Namespace == "" {
			return resource.Path{ID: id, Tail: segments[n]}, segments[n+1:], nil
		}
	}
	return resource.Path{}, nil, err
}
