use super::*;

#[test]
fn an_edit_is_read_from_text_and_from_json() {
    let text = "layer=4,index=17,action=clamp,value=8,site=topk_in,positions=generated,propagate=from_layer";
    let edit: Edit = text.parse().unwrap();
    assert_eq!(edit.positions, Positions::Generated);
    assert_eq!(edit.propagate, Propagate::FromLayer);
    let json = r#"{"layer":4,"index":17,"action":"clamp","value":8,"site":"topk_in","positions":"generated","propagate":"from_layer"}"#;
    assert_eq!(serde_json::from_str::<Edit>(json).unwrap(), edit);
    let range: Edit = "layer=0,index=0,action=ablate,positions=3..7".parse().unwrap();
    assert_eq!(range.positions, Positions::Range { from: 3, to: 7 });
    assert_eq!((range.site, range.value), (Site::TopkOut, None));
}

#[test]
fn every_edit_is_read_back_from_the_json_that_it_is_written_as() {
    let neuron = Edit::add(4, 17, 2.5).site(Site::TopkIn).positions(Positions::Range { from: 3, to: 7 });
    let feature = Edit::clamp(0, 90, 3.0).sae("blocks.2.hook_resid_post").positions(Positions::Generated);
    for edit in [Edit::ablate(0, 1), Edit::scale(2, 3, 0.5), neuron, Edit::ablate(0, 5).sae("hook_embed"), feature] {
        let json = serde_json::to_string(&edit).unwrap();
        assert_eq!(serde_json::from_str::<Edit>(&json).map_err(|error| error.to_string()), Ok(edit), "{json}");
    }
    assert_eq!(
        serde_json::to_string(&Edit::clamp(4, 17, 8.0)).unwrap(),
        r#"{"layer":4,"index":17,"action":"clamp","value":8.0,"site":"topk_out","positions":"all","propagate":"layer"}"#
    );
}

#[test]
fn a_malformed_edit_says_what_is_wrong() {
    for (text, word) in [
        ("layer=1", "missing field `index`"),
        ("layer=1,index=2,action=explode", "action: unknown variant `explode`, expected one of `add`, `clamp`"),
        ("layer=1,index=2,action=ablate,site=in", "site: unknown variant `in`, expected `topk_out`"),
        ("layer=1,index=2,action=ablate,propagate=on", "propagate: unknown variant `on`"),
        ("layer=1,index=-2,action=ablate", "index must be a whole number"),
        ("layer=1,index=2,action=add,value=inf", "value must be a finite number"),
        ("layer=1,index=2,action=ablate,layer=1", "layer is given twice"),
        ("layer=1,index=2,action=ablate,colour=red", "\"colour\" is no field of an edit; there are layer, sae,"),
        ("layer=1,index=2,action=ablate,positon=all", "did you mean positions?"),
        ("layer=1,indx=2,action=ablate", "did you mean index?"),
        ("layer=1,index=2,action=ablate,positions=3..x", "range like 3..7"),
        ("layer=1,index=2,action=ablate,positions=foo", "all, prompt, generated or a range like 3..7, not \"foo\""),
        ("layer=1,index=2,action=ablate,positions=5..3", "positions 5..3 must be a half-open range"),
        ("layer=1,index=2,action=ablate,positions=3..3", "positions 3..3 must be a half-open range"),
        ("layer=1,index=2,action=add,value=1e39", "value must be finite in f32, at most 3.4e38"),
        ("layer=1,index=2,action=add,value=-1e39", "value must be finite in f32, at most 3.4e38"),
        ("layer=1,index=2,action=clamp", "value is missing"),
        ("nonsense", "key=value"),
    ] {
        let message = text.parse::<Edit>().unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn positions_that_are_none_in_json() {
    for positions in [r#""foo""#, "3", r#"{"from":"a","to":3}"#, "null"] {
        let json = format!(r#"{{"layer":1,"index":2,"action":"ablate","positions":{positions}}}"#);
        let message = serde_json::from_str::<Edit>(&json).unwrap_err().to_string();
        assert!(message.starts_with("positions must be 'all', 'prompt', 'generated' or {from, to} in whole numbers"), "{message}");
    }
}

#[test]
fn an_edit_to_the_value_that_is_there_changes_no_bit() {
    let edit = |action, value| ResolvedEdit {
        index: 0,
        action,
        value,
        site: Site::TopkOut,
        from: 0,
        to: 1,
        row: EVERY_ROW,
    };
    for v in [0.0f32, -0.0, 1.5, -2.0] {
        for same in [edit(Action::Add, 0.0), edit(Action::Scale, 1.0), edit(Action::Clamp, v)] {
            assert_eq!(same.apply(v).to_bits(), v.to_bits());
        }
    }
    assert_eq!(edit(Action::Ablate, 0.0).apply(-0.0).to_bits(), (-0.0f32).to_bits());
}
