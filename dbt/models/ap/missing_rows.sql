{#
    parent → hub key, its columns, the satellite that knows it, and the links of what the facts leave out while it is not known.
    A loan without its application or borrower stays in the facts: they only name these.
-#}
{%- set parents = {
    'credit_loan': ('loan_hk', 1, 'sat_loan', {'credit_instalment': 'link_instalment', 'credit_loan_transaction': 'link_loan_transaction',
        'credit_loan_classification': 'link_loan_classification'}),
    'credit_product': ('product_hk', 1, 'sat_product', {'credit_loan': 'link_loan'}),
    'credit_application': ('application_hk', 1, 'sat_application', {
        'credit_application_version': 'link_application_version', 'credit_application_event': 'link_application_event',
    }),
} -%}
with
quarantine as {{ rows_of('ods.quarantine') }},
sat_loan as {{ rows_of(ref('sat_loan')) }},
link_instalment as {{ rows_of(ref('link_instalment')) }},
link_loan_transaction as {{ rows_of(ref('link_loan_transaction')) }},
link_loan_classification as {{ rows_of(ref('link_loan_classification')) }},
sat_product as {{ rows_of(ref('sat_product')) }},
link_loan as {{ rows_of(ref('link_loan')) }},
sat_application as {{ rows_of(ref('sat_application')) }},
link_application_version as {{ rows_of(ref('link_application_version')) }},
link_application_event as {{ rows_of(ref('link_application_event')) }},

open_entries as (
    select q.table_name, q.row_key, min(q.set_aside_at) as since
    from quarantine as q
    where q.resolved_at is null
    group by q.table_name, q.row_key
),

readable as (
    select o.table_name, case when {{ is_json('o.row_key', '[') }} then o.row_key end as row_key, o.since
    from open_entries as o
),

{% for parent, (key, size, satellite, links) in parents.items() %}
unknown_{{ parent }} as (
    select e.{{ key }}, e.since
    from (
        select {{ hash_of(key_parts('o.row_key', size)) }} as {{ key }}, o.since
        from readable as o
        where o.table_name = '{{ parent }}'
    ) as e
    where not exists (select 1 from {{ satellite }} as s where s.{{ key }} = e.{{ key }})
),
{% endfor %}
missing as (
    select o.table_name, 'set aside' as reason, count(*) as missing_rows, min(o.since) as since
    from open_entries as o
    group by o.table_name
    {%- for parent, (key, size, satellite, links) in parents.items() %}
    {%- for child, link in links.items() %}
    union all
    select '{{ child }}', 'parent set aside', count(*), min(u.since)
    from unknown_{{ parent }} as u
    inner join {{ link }} as l on l.{{ key }} = u.{{ key }}
    {%- endfor %}
    {%- endfor %}
),

readers as (
    {%- for reader, table in tables_behind_kpis() or [('none', 'none')] %}
    select '{{ reader }}' as model, '{{ table }}' as source_table
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

final as (
    select
        cast(r.model as varchar(64)) as model,
        cast(m.table_name as varchar(64)) as source_table,
        cast(m.reason as varchar(16)) as reason,
        cast(sum(m.missing_rows) as bigint) as missing_rows,
        min(m.since) as since
    from readers as r
    inner join missing as m on m.table_name = r.source_table
    where m.missing_rows > 0
    group by r.model, m.table_name, m.reason
)

select * from final
