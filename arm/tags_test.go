package arm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

func tagsAt(scope string) string { return scope + "/providers/Microsoft.Resources/tags/default" }

func TestTagsOfAScope(t *testing.T) {
	for name, scope := range map[string]string{"subscription": customerID, "group": customerRG, "topic": topic, "foreign": account} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t).partnerFlow().storage()
			check := func(a *answer, want map[string]any) {
				t.Helper()
				if diff := cmp.Diff(map[string]any{"id": tagsAt(scope), "name": "default", "type": typeTags, "properties": map[string]any{"tags": want}}, a.want(200).body); diff != "" {
					t.Errorf("%s (-want +got):\n%s", a.what, diff)
				}
				if diff := cmp.Diff(want, f.get("owner", scope).at("tags")); diff != "" && len(want) > 0 {
					t.Errorf("the scope itself (-want +got):\n%s", diff)
				}
			}
			at := tagsAt(scope)
			check(f.put("owner", at, `{"properties":{"tags":{"Env":"x","b":"2","c":"3"}}}`), map[string]any{"Env": "x", "b": "2", "c": "3"})
			check(f.patch("owner", at, `{"operation":"merge","properties":{"tags":{"ENV":"y","d":"4"}}}`), map[string]any{"Env": "y", "b": "2", "c": "3", "d": "4"})
			check(f.patch("owner", at, `{"operation":"Delete","properties":{"tags":{"B":"","c":"other","d":"4","none":""}}}`), map[string]any{"Env": "y", "c": "3"})
			check(f.get("owner", strings.ToLower(at)), map[string]any{"Env": "y", "c": "3"})
			check(f.patch("owner", at, `{"operation":"Replace","properties":{"tags":{"z":"1"}}}`), map[string]any{"z": "1"})
			f.delete("owner", at).want(200)
			check(f.get("owner", at), map[string]any{})
		})
	}
}

func TestTagsAreRefused(t *testing.T) {
	f := newFixture(t).partnerFlow().storage()
	f.role("reader", access.RoleReader, customerRG)
	f.put("owner", tagsAt(eventSub), `{"properties":{"tags":{}}}`).wantError(400, "InvalidRequest", "has no tags")
	f.put("owner", tagsAt(container), `{"properties":{"tags":{}}}`).wantError(400, "InvalidRequest", "has no tags")
	f.get("owner", tagsAt(topic+"9")).wantError(404, "ResourceNotFound")
	f.get("owner", tagsAt(customerRG+"9")).wantError(404, "ResourceGroupNotFound")
	f.get("owner", tagsAt("/subscriptions/"+noSub)).wantError(404, "SubscriptionNotFound")
	f.get("owner", tagsAt("")).wantError(404, "InvalidResourceType")
	f.get("owner", strings.Replace(tagsAt(topic), "default", "other", 1)).wantError(400, "InvalidRequest", "'other'")
	f.post("owner", tagsAt(topic), "").wantError(405, "HttpMethodNotAllowed")
	f.get("reader", tagsAt(topic)).want(200)
	f.put("reader", tagsAt(topic), `{}`).wantError(403, "AuthorizationFailed", "'Microsoft.Resources/tags/write'")
	f.delete("reader", tagsAt(topic)).wantError(403, "AuthorizationFailed", "'Microsoft.Resources/tags/delete'")
	for body, texts := range map[string]string{
		`{}`: "properties", `{"properties":{"tags":{"a%":""}}}`: "'a%'",
		`{"properties":{"tags":{"a":"` + strings.Repeat("x", 257) + `"}}}`: "257",
	} {
		f.put("owner", tagsAt(topic), body).wantError(400, "InvalidRequest", texts)
	}
	f.put("owner", tagsAt(topic), `{"properties":5}`).wantError(400, "InvalidRequestContent")
	f.patch("owner", tagsAt(topic), `{"properties":{"tags":{}}}`).wantError(400, "InvalidRequest", "operation", "Merge")
	f.patch("owner", tagsAt(topic), `{"operation":"Mix","properties":{"tags":{}}}`).wantError(400, "InvalidRequest", "Merge, Replace, Delete")

	// The limit holds for the whole, not for what is added.
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf(`"t%d":""`, i))
	}
	f.put("owner", tagsAt(topic), `{"properties":{"tags":{`+strings.Join(many, ",")+`}}}`).want(200)
	f.patch("owner", tagsAt(topic), `{"operation":"Merge","properties":{"tags":{"T0":"1"}}}`).want(200)
	f.patch("owner", tagsAt(topic), `{"operation":"Merge","properties":{"tags":{"one":"more"}}}`).wantError(400, "InvalidRequest", "51 tags")
	f.put("owner", config, `{"tags":{`+strings.Join(many, ",")+`,"one":"more"}}`).wantError(400, "InvalidRequest", "51 tags")
}

func TestTagNames(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.role("reader", access.RoleReader, customerID)
	at := customerID + "/tagNames"
	if a := f.get("owner", at).want(200); a.raw != `{"value":[]}` {
		t.Errorf("got %s", a.raw)
	}
	f.put("owner", at+"/Color/tagValues/red", "").wantError(404, "ResourceNotFound", "'Color'")
	a := f.put("owner", at+"/Color", "").want(201)
	none := map[string]any{"type": "Total", "value": 0.0}
	if diff := cmp.Diff(map[string]any{"id": at + "/Color", "tagName": "Color", "count": none, "values": []any{}}, a.body); diff != "" {
		t.Error(diff)
	}
	f.put("owner", at+"/color", "").want(200)
	a = f.put("owner", at+"/color/tagValues/red", "").want(201)
	if diff := cmp.Diff(map[string]any{"id": at + "/Color/tagValues/red", "tagValue": "red", "count": none}, a.body); diff != "" {
		t.Error(diff)
	}
	f.put("owner", at+"/color/tagValues/red", "").want(200)
	f.put("owner", tagsAt(topic), `{"properties":{"tags":{"COLOR":"red","env":"x"}}}`).want(200)
	f.put("owner", tagsAt(customerID), `{"properties":{"tags":{"env":"y"}}}`).want(200)

	one, two := map[string]any{"type": "Total", "value": 1.0}, map[string]any{"type": "Total", "value": 2.0}
	if diff := cmp.Diff([]any{
		map[string]any{"id": at + "/Color", "tagName": "Color", "count": one, "values": []any{map[string]any{"id": at + "/Color/tagValues/red", "tagValue": "red", "count": one}}},
		map[string]any{"id": at + "/env", "tagName": "env", "count": two, "values": []any{
			map[string]any{"id": at + "/env/tagValues/x", "tagValue": "x", "count": one}, map[string]any{"id": at + "/env/tagValues/y", "tagValue": "y", "count": one},
		}},
	}, f.get("reader", at).want(200).at("value")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	f.delete("owner", at+"/color").wantError(409, "Conflict", "in use")
	f.delete("owner", at+"/color/tagValues/red").wantError(409, "Conflict", "in use")
	f.put("owner", at+"/color/tagValues/blue", "").want(201)
	f.delete("owner", at+"/color/tagValues/blue").want(200)
	f.delete("owner", at+"/color/tagValues/blue").want(204)
	f.delete("owner", tagsAt(topic)).want(200)
	f.delete("owner", at+"/color").want(200)
	f.delete("owner", at+"/color").want(204)

	f.put("reader", at+"/x", "").wantError(403, "AuthorizationFailed", "Microsoft.Resources/subscriptions/tagNames/write")
	f.delete("reader", at+"/x/tagValues/y").wantError(403, "AuthorizationFailed", "Microsoft.Resources/subscriptions/tagNames/tagValues/delete")
	f.put("owner", at+"/a%3Fb", "").wantError(400, "InvalidRequest", "'a?b'")
	f.put("owner", at+"/x/tagValues/"+strings.Repeat("y", 257), "").wantError(400, "InvalidRequest")
	f.put("owner", at+"/x/other/y", "").wantError(404, "InvalidResourceType")
	f.put("owner", at+"/x/tagValues", "").wantError(404, "InvalidResourceType")
	f.get("owner", at+"/x").wantError(405, "HttpMethodNotAllowed")
	f.put("owner", strings.Replace(at, customerSub, noSub, 1)+"/x", "").wantError(404, "SubscriptionNotFound")
	f.get("owner", strings.Replace(at, customerSub, noSub, 1)).wantError(404, "SubscriptionNotFound")
}
