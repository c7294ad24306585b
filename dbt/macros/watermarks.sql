{#
    How far a model has read each of its inputs, by batch id: ods.watermark(model, source, previous, done, pending).

    open_watermarks() is the model's pre-hook: before anything is read it notes the highest batch of each input as
    `pending`. close_watermarks() is its post-hook, in the same transaction as the rows: `pending` becomes `done`. A batch
    that is committed between is read again by the next run, which finds its rows already there. Batch ids of an input
    rise in commit order, so nothing appears at or below `done` later.
#}
{% macro create_watermarks() %}{{ return(adapter.dispatch('create_watermarks')()) }}{% endmacro %}

{% macro default__create_watermarks() %}
    {# Only where it is missing: asking for it needs the right to create schemas. #}
    {%- if execute and not adapter.check_schema_exists(target.database, 'ods') %}
    create schema ods;
    {%- endif %}
    create table if not exists ods.watermark (
        model varchar(128) not null, source varchar(128) not null,
        previous bigint not null, done bigint not null, pending bigint not null,
        constraint pk_watermark primary key (model, source)
    );
{% endmacro %}

{% macro sqlserver__create_watermarks() %}
    if schema_id('ods') is null exec('create schema ods');
    if object_id('ods.watermark') is null
        create table ods.watermark (
            model varchar(128) not null, source varchar(128) not null,
            previous bigint not null, done bigint not null, pending bigint not null,
            constraint pk_watermark primary key (model, source)
        );
{% endmacro %}

{# The inputs of a model that are read by batch: landed tables, their typed copies, satellites. #}
{% macro batched_inputs(node) %}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes -%}
        {%- set input = graph.sources.get(id) or graph.nodes.get(id) -%}
        {%- if input and (input.schema in ('dl', 'ods') or input.name.startswith('sat_')) -%}
            {%- do found.append(input) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{% macro open_watermarks() %}
    {%- if execute and config.get('materialized') == 'incremental' -%}
    {%- for input in batched_inputs(model) %}
    {%- set relation = input.schema ~ '.' ~ (input.identifier or input.alias) %}
    insert into ods.watermark (model, source, previous, done, pending)
    select '{{ model.name }}', '{{ input.name }}', -1, -1, -1
    where not exists (
        select 1 from ods.watermark where model = '{{ model.name }}' and source = '{{ input.name }}'
    );
    update ods.watermark
    set pending = coalesce((select max(batch_id) from {{ relation }}), -1)
        {%- if not is_incremental() %}, done = -1{% endif %}
    where model = '{{ model.name }}' and source = '{{ input.name }}';
    {%- endfor %}
    {%- endif -%}
{% endmacro %}

{% macro close_watermarks() %}
    {%- if execute and config.get('materialized') == 'incremental' and batched_inputs(model) %}
    update ods.watermark set previous = done, done = pending where model = '{{ model.name }}';
    {%- endif -%}
{% endmacro %}

{# A condition: the rows of `source` (a model's or a landed table's name) that this model has not read. #}
{% macro new_rows(source, alias) -%}
    {%- if is_incremental() -%}
    {{ alias }}.batch_id > (
        select w.done from ods.watermark as w where w.model = '{{ this.identifier }}' and w.source = '{{ source }}'
    )
    and {{ alias }}.batch_id <= (
        select w.pending from ods.watermark as w where w.model = '{{ this.identifier }}' and w.source = '{{ source }}'
    )
    {%- else -%}
    1 = 1
    {%- endif -%}
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
        {%- if result.node.config.materialized != 'incremental' -%}
            {%- for id in result.node.depends_on.nodes if id.startswith('model.') -%}
                {%- do names.append(id.split('.')[-1]) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if names -%}
        {%- set found = run_query(
            "select distinct w.model, b.batch_id, b.traceparent from ods.watermark as w "
            ~ "inner join dl.batch as b on b.batch_id > w.previous and b.batch_id <= w.done "
            ~ "where w.model in ('" ~ names | unique | join("', '") ~ "') order by w.model, b.batch_id"
        ) -%}
        {%- set batches = [] -%}
        {%- for row in found.rows -%}
            {%- do batches.append({'model': row[0], 'batch_id': row[1] | int, 'traceparent': row[2]}) -%}
        {%- endfor -%}
        {%- do log('read batches ' ~ tojson(batches), info=true) -%}
    {%- endif -%}
    {%- endif -%}
{% endmacro %}
