{# What a run does at its end: it tells which batches it has read, and notes which rows have passed their tests. #}

{#
    The models of which this run may say that what they have done is tested: each of their tests of new rows passed. A model
    that has none is so once it was built.
#}
{% macro tested_models(results) %}
    {%- set states = {} -%}
    {%- for result in results -%}
        {%- do states.update({result.node.unique_id: result.status | string}) -%}
    {%- endfor -%}
    {%- set tests = {} -%}
    {%- for test in nodes_of_type('test') if test.config.meta.get('looks_at') == 'new_rows' -%}
        {%- do tests.setdefault(test.attached_node, []).append(states.get(test.unique_id)) -%}
    {%- endfor -%}
    {%- set found = [] -%}
    {%- for node in nodes_of_type('model') if node.config.materialized == 'incremental' -%}
        {%- set outcomes = tests.get(node.unique_id, [states.get(node.unique_id)]) -%}
        {%- if outcomes | reject('in', ['pass', 'warn', 'success']) | list == [] -%}
            {%- do found.append(node.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{% macro pass_watermarks() %}
    {%- if execute and flags.WHICH in ('build', 'run', 'test') -%}
    {%- set names = tested_models(results) -%}
    {%- if names -%}
    {{ note_tested(names) }}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro note_tested(names) -%}
    update build.watermark set tested = done where tested <> done and model in ('{{ names | join("', '") }}');
{%- endmacro %}

{% macro batches_of(names) -%}
    select distinct w.model, b.batch_id, b.traceparent
    from build.watermark as w
    inner join dl.batch as b on b.batch_id > w.previous and b.batch_id <= w.done
    where w.model in ('{{ names | join("', '") }}')
    order by w.model, b.batch_id
{%- endmacro %}

{#
    The batches that the models of this run have read, and the loader's trace of each, logged for dbt/build.py. Models that
    have no watermark of their own answer with those of the models they read, at any depth.
#}
{% macro report_batches() %}
    {%- if execute and not flags.WHICH in ('compile', 'test', 'run-operation') -%}
    {%- set names = [] -%}
    {%- for result in results if result.node.resource_type == 'model' -%}
        {%- do names.append(result.node.name) -%}
        {%- if not batched_inputs(node_of(result.node.unique_id)) -%}
            {%- for id in result.node.depends_on.nodes if id.startswith('model.') -%}
                {%- do names.append(id.split('.')[-1]) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if names -%}
        {%- set found = run_query(batches_of(names | unique | list)) -%}
        {%- set batches = [] -%}
        {%- for row in found.rows -%}
            {%- do batches.append({'model': row[0], 'batch_id': row[1] | int, 'traceparent': row[2]}) -%}
        {%- endfor -%}
        {%- do log('read batches ' ~ tojson(batches), info=true) -%}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
