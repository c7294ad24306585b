{#
    build.run: the builds of schema ap, noted when they begin and when they end. Only a build that is whole, tested and without a failure is shown to
    people (services/analytics/publication.py); one that is under way or was killed has no `finished_at`.
#}
{% macro create_runs() %}
    {{ create_work_table(
        'build.run',
        'invocation_id varchar(64) not null, started_at ' ~ timestamp_type() ~ ' not null, finished_at ' ~ timestamp_type()
        ~ ', models integer not null, models_left integer not null, tests_passed integer not null, tests_warned integer not null'
        ~ ', tests_left integer not null, failures ' ~ text_type() ~ ' not null, through_batch_id bigint'
        ~ ', constraint pk_run primary key (invocation_id)'
    ) }}
    {{ show_runs(env_var('WAREHOUSE_REPORTING', 'reporting')) }}
{% endmacro %}

{# Pages say that a newer build has failed, and why: who reads them reads this table. #}
{% macro show_runs(reader) %}{{ return(adapter.dispatch('show_runs')(reader)) }}{% endmacro %}
{% macro default__show_runs(reader) %}
    grant usage on schema build to {{ reader }};
    grant select on build.run to {{ reader }};
{%- endmacro %}
{% macro sqlserver__show_runs(reader) %}
    grant select on build.run to {{ reader }};
{%- endmacro %}

{# The models of ap. #}
{% macro models_of_ap() -%}
    {{ return(nodes_of_type('model') | selectattr('schema', 'equalto', 'ap') | map(attribute='unique_id') | list) }}
{%- endmacro %}

{# Whether this invocation builds a model of ap. #}
{% macro builds_ap() -%}
    {{ return(execute and flags.WHICH in ('build', 'run') and models_of_ap() | select('in', selected_resources) | list | length > 0) }}
{%- endmacro %}

{# At the beginning: what is in ap from here on may be of two builds. #}
{% macro note_run_begins() %}
    {%- if builds_ap() %}
    insert into build.run (invocation_id, started_at, models, models_left, tests_passed, tests_warned, tests_left, failures, through_batch_id)
    select '{{ invocation_id }}', {{ now_in_utc() }}, 0, {{ models_of_ap() | length }}, 0, 0, 0, '[]', ({{ last_batch_read() }});
    {%- endif %}
{% endmacro %}

{# At the end: what was made and tested. #}
{% macro note_run_ends() %}
    {%- if builds_ap() %}
    {%- set states = {} -%}
    {%- set failures = [] -%}
    {%- for result in results -%}
        {%- do states.update({result.node.unique_id: result.status | string}) -%}
        {%- if result.status | string in ('error', 'fail', 'runtime error') -%}
            {%- do failures.append(result.node.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set models = models_of_ap() -%}
    {%- set made = models | select('in', states) | list -%}
    {%- set tests = [] -%}
    {%- for test in nodes_of_type('test') if test.attached_node in models -%}
        {%- do tests.append(states.get(test.unique_id, 'left out')) -%}
    {%- endfor -%}
    {%- set passed = tests | select('equalto', 'pass') | list | length -%}
    {%- set warned = tests | select('equalto', 'warn') | list | length %}
    update build.run
    set finished_at = {{ now_in_utc() }}, models = {{ made | length }}, models_left = {{ models | length - made | length }},
        tests_passed = {{ passed }}, tests_warned = {{ warned }}, tests_left = {{ tests | length - passed - warned }},
        failures = '{{ tojson(failures) | replace("'", "''") }}'
    where invocation_id = '{{ invocation_id }}';
    {%- endif %}
{% endmacro %}

{#
    The newest batch before the first that a model of ods, dw or dm has yet to read, of the landed tables that it is made of. So everything up to
    it is in what ap is made from.
#}
{% macro last_batch_read() -%}
    {%- set reads = [] -%}
    {%- for node in nodes_of_type('model') if node.config.materialized == 'incremental' and node.schema != 'ap' -%}
        {%- for input in batched_inputs(node) -%}
            {%- do reads.append("('" ~ node.name ~ "', '" ~ input.name ~ "', '" ~ origin_of(input) ~ "')") -%}
        {%- endfor -%}
    {%- endfor -%}
    select coalesce(min(t.batch_id) - 1, (select max(b.batch_id) from dl.batch as b))
    from dl.batch_target as t
    inner join (values {{ reads | join(', ') }}) as r(model, source, landed) on r.landed = t.target
    inner join build.watermark as w on w.model = r.model and w.source = r.source
    where t.batch_id > w.done and t.row_count > 0
{%- endmacro %}
