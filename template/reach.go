package template

import "strings"

// lookUp returns the state of a resource, by its name in the template or its id.
func (s *scope) lookUp(name, version string) (any, error) {
	r := s.run
	if i := r.find(name); i != nil {
		switch {
		case i.skip:
			return nil, errorf("The resource '%s' is not deployed: its condition is false.", name)
		case i.existing && i.state == nil:
			state, err := s.read(i.id, i.version)
			if err != nil {
				return nil, err
			}
			i.state = state
		case i.state == nil && i.done:
			state, err := s.budget.decoded(i.made)
			if err != nil {
				return nil, err
			}
			i.state, i.made = state, nil
		case i.state == nil:
			return nil, errorf("The resource '%s' is not deployed yet; add it to dependsOn.", name)
		}
		return i.state, nil
	}
	if !strings.HasPrefix(name, "/") {
		return nil, errorf("There is no resource '%s' in the template; refer to others by their ids.", cut(name))
	}
	return s.read(name, version)
}

// read asks the host for the state of a resource.
func (s *scope) read(id, version string) (any, error) {
	if err := s.budget.spend(hostSteps); err != nil {
		return nil, err
	}
	got, err := s.run.host.Get(s.run.ctx, id, version)
	if err != nil {
		return nil, errorf("The resource '%s' could not be read: %s", cut(id), err)
	}
	return s.budget.decoded(got)
}

func (s *scope) act(name, action, version string, body any) (any, error) {
	if err := s.budget.spend(hostSteps); err != nil {
		return nil, err
	}
	if _, err := s.budget.measure(body); err != nil {
		return nil, err
	}
	r, id := s.run, name
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
		return nil, errorf("The operation '%s' of '%s' failed: %s", action, cut(id), err)
	}
	if o, ok := v.(map[string]any); ok || v == nil {
		return s.budget.decoded(o)
	}
	return v, nil
}
