{#
    How far a model has taken in each of its inputs, by batch id: build.watermark(model, source, previous, done, pending, tested).

    open_watermarks() is the model's pre-hook: before anything is read it notes in `pending` how far the model may read.
    close_watermarks() is its post-hook, in the same transaction as the rows: `pending` becomes `done`. A batch that is
    committed between is read again by the next run, which finds its rows already there.

    A model may read an input as far as that input, and every other model it reads, has taken in what the input is made
    of. So it never advances past its upstreams, whichever of them failed or is still being built. `pending` below `done`
    is right where an upstream was rebuilt or was added: the model then reads those batches again.

    `tested` is what was done when the model's tests last passed: pass_watermarks() writes it at the end of a run. The next
    build notes it in `previous`: what lies between `previous` and `done` is what this build has to answer for. So rows
    that fail a test are tested again by every build, until they pass.
#}
{% macro create_watermarks() %}{{ return(adapter.dispatch('create_watermarks')()) }}{% endmacro %}

{% macro default__create_watermarks() %}
    create table if not exists build.watermark (
        model varchar(128) not null, source varchar(128) not null,
        previous bigint not null, done bigint not null, pending bigint not null,
        constraint pk_watermark primary key (model, source)
    );
    {# Asked first, as ALTER TABLE waits for every build that is under way. #}
    do $$
    begin
        if not exists (
            select from information_schema.columns
            where table_schema = 'build' and table_name = 'watermark' and column_name = 'tested'
        ) then
            alter table build.watermark add column tested bigint not null default -1;
        end if;
    end $$;
{% endmacro %}

{% macro sqlserver__create_watermarks() %}
    if object_id('build.watermark') is null
        create table build.watermark (
            model varchar(128) not null, source varchar(128) not null,
            previous bigint not null, done bigint not null, pending bigint not null,
            constraint pk_watermark primary key (model, source)
        );
    if col_length('build.watermark', 'tested') is null
        alter table build.watermark add tested bigint not null constraint df_watermark_tested default -1;
{% endmacro %}

{# What a generated model is: typed_changes, hub, link, satellite or history; none for a model written by hand (services/loader/vault). #}
{% macro kind_of(node) -%}{{ return(node.config.get('meta', {}).get('kind')) }}{%- endmacro %}

{# The inputs of a model that are read by batch: landed tables, their typed copies, satellites. #}
{% macro batched_inputs(node) %}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes -%}
        {%- set input = node_of(id) -%}
        {%- if input.resource_type == 'source' or kind_of(input) in ('typed_changes', 'satellite') -%}
            {%- do found.append(input) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{# The landed table that a batched input is made of: its batch ids are those of that table. #}
{% macro origin_of(input) %}
    {%- if input.resource_type == 'source' -%}
        {{ return(input.name) }}
    {%- endif -%}
    {{ return(origin_of(batched_inputs(input)[0])) }}
{% endmacro %}

{#
    The watermarks that bound how far `node` may read what is made of the landed table `origin`, as pairs of model and source:
    those of the models it reads, and through views and tables that are made whole those of the models behind them.
#}
{% macro bounds_of(node, origin) %}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes if id.startswith('model.') -%}
        {%- set upstream = node_of(id) -%}
        {%- if upstream.config.materialized == 'incremental' -%}
            {%- for input in batched_inputs(upstream) if origin_of(input) == origin -%}
                {%- do found.append((upstream.name, input.name)) -%}
            {%- endfor -%}
        {%- else -%}
            {%- do found.extend(bounds_of(upstream, origin)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list) }}
{% endmacro %}

{% macro open_watermarks() %}
    {%- if execute and config.get('materialized') == 'incremental' -%}
    {%- for input in batched_inputs(model) %}
    insert into build.watermark (model, source, previous, done, pending)
    select '{{ model.name }}', '{{ input.name }}', -1, -1, -1
    where not exists (
        select 1 from build.watermark where model = '{{ model.name }}' and source = '{{ input.name }}'
    );
    update build.watermark
    set pending = (
        select min(u.bound)
        from (
            {%- if input.resource_type == 'source' %}
            select coalesce(max(c.batch_id), -1) as bound from {{ input.schema }}.{{ input.identifier }} as c
            {%- else %}
            {%- for upstream, source in bounds_of(model, origin_of(input)) %}
            select coalesce(max(w.done), -1) as bound from build.watermark as w where w.model = '{{ upstream }}' and w.source = '{{ source }}'
            {{- " union all" if not loop.last }}
            {%- endfor %}
            {%- endif %}
        ) as u
    ){% if not is_incremental() %}, done = -1, tested = -1{% endif %}
    where model = '{{ model.name }}' and source = '{{ input.name }}';
    {%- endfor %}
    {%- endif -%}
{% endmacro %}

{% macro close_watermarks() %}
    {%- if execute and config.get('materialized') == 'incremental' and batched_inputs(model) %}
    update build.watermark
    set previous = {{ smaller('tested', 'pending') }}, tested = {{ smaller('tested', 'pending') }}, done = pending
    where model = '{{ model.name }}';
    {%- endif -%}
{% endmacro %}

{# A condition: the rows of `source` (a model's or a landed table's name) that this model has not read. #}
{% macro new_rows(source, alias) -%}
    {%- if is_incremental() -%}
    {{ alias }}.batch_id > (
        select w.done from build.watermark as w where w.model = '{{ this.identifier }}' and w.source = '{{ source }}'
    )
    and {{ alias }}.batch_id <= (
        select w.pending from build.watermark as w where w.model = '{{ this.identifier }}' and w.source = '{{ source }}'
    )
    {%- else -%}
    1 = 1
    {%- endif -%}
{%- endmacro %}
