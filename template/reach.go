package template

import "strings"

// lookUp returns the state of a resource, by its name in the template or its id.
func (r *run) lookUp(name, version string) (any, error) {
	if i := r.find(name); i != nil {
		switch {
		case i.skip:
			return nil, errorf("The resource '%s' is not deployed: its condition is false.", name)
		case i.existing && i.state == nil:
			got, err := r.host.Get(r.ctx, i.id, i.version)
			if err != nil {
				return nil, errorf("The resource '%s' could not be read: %s", i.id, err)
			}
			i.state = decoded(got)
		case i.state == nil:
			return nil, errorf("The resource '%s' is not deployed yet; add it to dependsOn.", name)
		}
		return i.state, nil
	}
	if !strings.HasPrefix(name, "/") {
		return nil, errorf("There is no resource '%s' in the template; refer to others by their ids.", name)
	}
	got, err := r.host.Get(r.ctx, name, version)
	if err != nil {
		return nil, errorf("The resource '%s' could not be read: %s", name, err)
	}
	return decoded(got), nil
}

func (r *run) act(name, action, version string, body any) (any, error) {
	id := name
	if i := r.find(name); i != nil {
		if i.skip {
			return nil, errorf("The resource '%s' is not deployed: its condition is false.", name)
		}
		if id = i.id; version == "" {
			version = i.version
		}
	}
	v, err := r.host.Act(r.ctx, id, action, version, body)
	if err != nil {
		return nil, errorf("The operation '%s' of '%s' failed: %s", action, id, err)
	}
	if o, ok := v.(map[string]any); ok || v == nil {
		return decoded(o), nil
	}
	return v, nil
}
