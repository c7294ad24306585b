{#
    The strategy of models that derive rows from keys: the rows of the keys that a run is about are recomputed and compared with
    those that are there; only what differs is taken out and put in. So a payment that comes today writes today's rows of its
    loan and not those of the years before, and the partitions that get another version are those in which something is different.

    note_affected() is the model's pre-hook: it notes the keys in a table of the model's own, with statistics, which the body
    reads by with_affected(). The model's configuration names them: unique_key the columns that make a row, meta.affected_key
    the column that has the key, meta.partitions what lies in which partition (macros/partitions.sql). With meta.affected_since, a column of days, a
    run is about the rows of a key from a day on, which is noted beside the key.
#}
{% macro affected_table() -%}build.{{ affected_name(this.identifier, config.get('meta')) }}{%- endmacro %}
{% macro affected_name(name, meta) -%}{{ return(('affected_since_' if meta.get('affected_since') else 'affected_') ~ name) }}{%- endmacro %}

{# affected: one of the macros of macros/affected.sql, rendered: a query of the key, and of the day where the model has one. #}
{% macro note_affected(affected) -%}
    {%- if is_incremental() -%}
    truncate table {{ affected_table() }};
    {%- if config.get('meta').get('affected_since') %}
    insert into {{ affected_table() }} (affected_key, since)
    select k.affected_key, min(k.since) from (
{{ affected }}
    ) as k(affected_key, since)
    group by k.affected_key;
    {%- else %}
    insert into {{ affected_table() }} (affected_key)
    select distinct k.affected_key from (
{{ affected }}
    ) as k(affected_key);
    {%- endif %}
    {{ gather_statistics(affected_table()) }}
    {%- if config.get('meta').get('partitions') %}
    {# A table that was there before its partitions had versions: nobody has read them. #}
    {{ note_partitions(partitions_of(
        '(select t.* from ' ~ this ~ " as t where not exists (select 1 from build.partition_version as p where p.model = '" ~ this.identifier ~ "')) as x",
        config.get('meta').partitions,
    )) }}
    {%- endif %}
    {%- endif -%}
{%- endmacro %}

{# A post-hook: a run that is over is about nothing. #}
{% macro forget_affected() -%}
    {%- if config.get('incremental_strategy') == 'renew' and is_incremental() -%}
    truncate table {{ affected_table() }};
    {%- endif -%}
{%- endmacro %}

{% macro get_incremental_renew_sql(args) -%}
    {{ renewed(args.target_relation, args.temp_relation, args.unique_key, args.dest_columns | map(attribute='name') | list) }}
{%- endmacro %}

{#
    made: the relation of the rows as they are to be. What differs is found once, from the rows of the affected keys alone: a row
    that is on one side only, came = 1 where that is the new one. The target is never gone through, however large it is.
#}
{% macro renewed(target, made, keys, columns) -%}
    {%- set differing = temporary_name('differing_' ~ this.identifier) -%}
    {%- set partitions = config.get('meta').get('partitions') -%}
    {%- set since = config.get('meta').get('affected_since') -%}
    {%- set sides -%}
    select min(s.came) as came, {{ columns_of('s', columns) }}
    from (
        select 0 as came, {{ columns_of('x', columns) }}
        from {{ target }} as x
        inner join {{ affected_table() }} as a
            on a.affected_key = x.{{ config.get('meta').affected_key }}
            {%- if since %} and a.since <= x.{{ since }}{% endif %}
        union all
        select 1 as came, {{ columns_of('x', columns) }}
        from {{ made }} as x
    ) as s
    group by {{ columns_of('s', columns) }}
    having min(s.came) = max(s.came)
    {%- endset -%}
    {{ create_temporary(differing, sides) }}
    {{ gather_statistics(differing) }}
    {%- if partitions %}
    {{ note_partitions(partitions_of(differing ~ ' as x', partitions)) }}
    {%- endif %}
    {{ delete_as_x(target) }} where exists (select 1 from {{ differing }} as y where y.came = 0 and {{ same_key(keys) }});
    insert into {{ target }} ({{ get_quoted_csv(columns) }})
    select {{ columns_of('x', columns) }}
    from {{ differing }} as x
    where x.came = 1;
    drop table {{ differing }};
{%- endmacro %}

{% macro same_key(keys) -%}
    {%- for key in keys %}y.{{ key }} = x.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro columns_of(alias, columns) -%}
    {%- for column in columns %}{{ alias }}.{{ adapter.quote(column) }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{# A table for the session alone; its name says the model, as the next one may have the same session. #}
{% macro temporary_name(name) -%}{{ return(adapter.dispatch('temporary_name')(name)) }}{%- endmacro %}
{% macro default__temporary_name(name) -%}{{ return(name) }}{%- endmacro %}
{% macro sqlserver__temporary_name(name) -%}{{ return('#' ~ name) }}{%- endmacro %}

{% macro create_temporary(name, query) -%}{{ return(adapter.dispatch('create_temporary')(name, query)) }}{%- endmacro %}
{% macro default__create_temporary(name, query) -%}
    create temporary table {{ name }} as
    {{ query }};
{%- endmacro %}
{% macro sqlserver__create_temporary(name, query) -%}
    select q.* into {{ name }} from (
    {{ query }}
    ) as q;
{%- endmacro %}

{% macro delete_as_x(relation) -%}{{ return(adapter.dispatch('delete_as_x')(relation)) }}{%- endmacro %}
{% macro default__delete_as_x(relation) -%}delete from {{ relation }} as x{%- endmacro %}
{% macro sqlserver__delete_as_x(relation) -%}delete x from {{ relation }} as x{%- endmacro %}
